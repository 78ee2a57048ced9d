# SPDX-License-Identifier: MIT
"""Kinds of content: pickle protocols, and what there is besides plain tensors."""
import copy
import pickle
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Callable, List, Tuple

import numpy
import torch
from kind import SAMPLE, SAMPLE_FLOAT32, Unavailable, kind, numbers, register, sample
from kinds_stream import make_module
from torch_save import Saver, archive_records, write_archive


def save(root: Any, path: str, protocol: int = 2) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(root, path, pickle_protocol=protocol)


def content(name: str, **fields: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Registers what the function below returns."""
    def decorate(make: Callable[[], Any]) -> Callable[[], Any]:
        register(name, lambda path: save(make(), path), **fields)
        return make
    return decorate


for number in (2, 3, 4, 5):
    register(f"pickle/protocol-{number}",
             lambda path, protocol=number: save(sample(), path, protocol),
             float32=SAMPLE_FLOAT32, twin="" if number == 2 else SAMPLE)

register("pickle/module", lambda path: save(make_module(), path),
         float32=["_modules.rotary._buffers.inv_freq"])

# ---------------------------------------------------------------------------
# Tensors that are more than a storage
# ---------------------------------------------------------------------------


class Tagged(torch.Tensor):
    """A subclass that adds attributes."""


class Pair(torch.Tensor):
    """A wrapper subclass: it has no storage, but a type and two tensors."""

    @staticmethod
    def __new__(cls, a: torch.Tensor, b: torch.Tensor) -> "Pair":
        pair = torch.Tensor._make_wrapper_subclass(cls, a.size(), dtype=a.dtype)
        pair.a, pair.b = a, b
        return pair

    @classmethod
    def __torch_dispatch__(cls, function: Any, _: Any, args: tuple = (), __: Any = None) -> Any:
        raise NotImplementedError(function)


def tag(tensor: torch.Tensor, seed: int) -> torch.Tensor:
    tensor.note = "FloatStorage"
    tensor.scale = numbers(3, seed=seed)
    return tensor


@content("tensors/attributes")
def attributes() -> Any:
    return {"weight": tag(numbers(6, 4, seed=100), 101), "plain": numbers(4, seed=102)}


@content("tensors/subclass", since=(2, 0))
def subclass() -> Any:
    return {"weight": tag(numbers(6, 4, seed=103).as_subclass(Tagged), 104),
            "row": numbers(6, 4, seed=105).as_subclass(Tagged)[2]}


@content("tensors/parameter-with-state", since=(2, 0))
def parameter_with_state() -> Any:
    return {"weight": tag(torch.nn.Parameter(numbers(6, 4, seed=106)), 107)}


@content("tensors/negative-view")
def negative_view() -> Any:
    return [torch._neg_view(numbers(40, seed=108)), torch.tensor([1 + 2j, -3j]).conj()]


@content("tensors/sparse")
def sparse() -> Any:
    matrix = numbers(7, 9, seed=109).nan_to_num(1, 70000, -1)
    scattered = torch.sparse_coo_tensor([[0, 0, 2], [1, 1, 0]], numbers(3, 4, seed=110), (3, 2, 4))
    return {"coo": matrix.to_sparse(), "uncoalesced": scattered, "csr": matrix.to_sparse_csr()}


@content("tensors/sparse-compressed", since=(2, 0))
def sparse_compressed() -> Any:
    matrix = numbers(8, 6, seed=111).nan_to_num(1, 70000, -1)
    return {"csc": matrix.to_sparse_csc(), "bsr": matrix.to_sparse_bsr((2, 3)),
            "bsc": matrix.to_sparse_bsc((4, 2))}


@content("tensors/sparse-kept", float32=["rope.inv_freq"])
def sparse_kept() -> Any:
    """The values of a sparse tensor go by its name."""
    return {"rope.inv_freq": numbers(6, seed=112).to_sparse(), "weight": numbers(9, seed=113)}


@content("tensors/new-types", since=(2, 3))
def new_types() -> Any:
    values = numbers(40, seed=117).nan_to_num(1, 9, -9)
    return {"weight": values, "float8": values.to(torch.float8_e4m3fn),
            "uint16": torch.arange(9).to(torch.uint16)}


@content("tensors/wrapper-subclass", reason="wrapper")
def wrapper_subclass() -> Any:
    return {"weight": Pair(numbers(5, seed=118), numbers(5, seed=119)),
            "plain": numbers(5, seed=120)}


# ---------------------------------------------------------------------------
# What stays as it is, beside plain tensors
# ---------------------------------------------------------------------------


def by_channel(scale_type: torch.dtype, point_type: torch.dtype) -> torch.Tensor:
    return torch.quantize_per_channel(
        numbers(3, 8, seed=130).nan_to_num(1, 9, -9),
        torch.tensor([0.1, 0.25, 3.0], dtype=scale_type),
        torch.tensor([0, 3, 7], dtype=point_type), 0, torch.quint8)


@content("kept/quantized")
def quantized() -> Any:
    values = numbers(6, 5, seed=131).nan_to_num(1, 9, -9)
    return {"plain": values,
            "int8": torch.quantize_per_tensor(values, 0.1, 2, torch.qint8),
            "int32": torch.quantize_per_tensor(values, 0.1, 2, torch.qint32),
            "by_channel": by_channel(torch.float64, torch.int64),
            "float_parameters": by_channel(torch.float32, torch.float32)}


@content("kept/meta", float32=["nowhere", "parameter"])
def meta() -> Any:
    return {"plain": numbers(4, 4, seed=132), "nowhere": torch.empty(3, 2, device="meta"),
            "parameter": torch.nn.Parameter(torch.empty(2, device="meta"))}


@content("kept/numpy")
def numpy_values() -> Any:
    array = numpy.arange(12, dtype=numpy.float32).reshape(3, 4)
    return {"plain": numbers(10, seed=133), "array": array, "fortran": numpy.asfortranarray(array),
            "scalar": numpy.float32(1.5), "double": numpy.float64(0.1), "empty": array[:0]}


class Boxed:
    """Comes back as what plain pickle made of it: an opaque stream within."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Tuple[Any, ...]:
        return pickle.loads, (pickle.dumps(self.value, 2),)


@dataclass
class Config:
    """Plain data of a program, with a tensor in it."""
    name: str
    weight: torch.Tensor
    shape: Tuple[int, ...] = (3, 4)


class Copied:
    """Comes back through a function that cvq does not know."""

    def __init__(self, value: torch.Tensor) -> None:
        self.value = value

    def __reduce__(self) -> Tuple[Any, ...]:
        return Copied, (self.value,)


class FromBytes:
    """As plain pickle writes a storage."""

    def __init__(self, storage: Any) -> None:
        self.function, self.arguments = storage.__reduce__()

    def __reduce__(self) -> Tuple[Any, ...]:
        return self.function, self.arguments


@content("kept/nested-streams", float32=["boxed", "module._parameters.weight",
                                         "module._parameters.bias", "copied.value"])
def nested_streams() -> Any:
    return {"plain": numbers(20, seed=134), "boxed": Boxed(numbers(7, seed=135)),
            "module": Boxed(torch.nn.Linear(3, 2)), "copied": Copied(numbers(5, seed=136)),
            "config": Config("small", numbers(6, seed=137)),
            "storage": FromBytes(numbers(8, seed=138).storage())}


@content("kept/bare-storages", float32=["shared"])
def bare_storages() -> Any:
    """A storage that is saved as it is keeps its type, and so does a tensor on it."""
    shared = numbers(9, seed=140)
    return {"plain": numbers(30, seed=139), "typed": numbers(5, seed=141).storage(),
            "untyped": numbers(6, seed=142).storage().untyped(), "shared": shared,
            "its_storage": shared.storage()}


class Called:
    """Pickled as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Tuple[Any, ...]:
        return self.call


def device_tensor(name: str, data: Any) -> Called:
    """A tensor of a device without storages, in the CPU's place."""
    function = getattr(torch._utils, name, None)
    if function is None:
        raise Unavailable(f"torch {torch.__version__} has no {name}")
    return Called(function, data, torch.float32, "cpu", False)


@content("kept/device-tensor-from-numpy", float32=["device"])
def device_tensor_from_numpy() -> Any:
    return {"plain": numbers(20, seed=143),
            "device": device_tensor("_rebuild_device_tensor_from_numpy",
                                    numbers(6, seed=144).numpy())}


@content("kept/device-tensor-from-cpu-tensor", float32=["device"])
def device_tensor_from_cpu_tensor() -> Any:
    return {"plain": numbers(20, seed=145),
            "device": device_tensor("_rebuild_device_tensor_from_cpu_tensor",
                                    numbers(6, seed=146))}


@content("tensors/nested", since=(2, 1))
def nested() -> Any:
    """torch wants its storage to have not one element more: there is no room for a seal."""
    pieces = [numbers(2, 5, seed=114), numbers(3, 5, seed=115)]
    return {"nested": torch.nested.nested_tensor(pieces), "plain": numbers(4, seed=116)}


@content("kept/jagged", since=(2, 3), float32=["jagged"])
def jagged() -> Any:
    """A subclass that comes back through its own constructor."""
    pieces = [numbers(2, 5, seed=121), numbers(3, 5, seed=122)]
    return {"jagged": torch.nested.nested_tensor(pieces, layout=torch.jagged),
            "plain": numbers(5, seed=123)}


@content("kept/only-integers", reason="no FP32")
def only_integers() -> Any:
    return {"steps": torch.arange(9), "half": torch.ones(3).half()}


@content("kept/nothing", reason="no FP32")
def nothing() -> Any:
    return {"epoch": 3, "names": ["FloatStorage"]}


@kind("kept/two-types-on-one-storage", reason="is used as")
def two_types(path: str) -> None:
    """torch.save() refuses this, torch.load() does not."""
    tensor = numbers(8, seed=147)
    write_archive(path, archive_records(Saver([tensor, tensor.view(torch.int32)])))


# ---------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------


def make_model() -> torch.nn.Module:
    torch.manual_seed(7)
    model = torch.nn.Sequential(torch.nn.Linear(16, 24), torch.nn.ReLU(), torch.nn.LayerNorm(24),
                                torch.nn.Linear(24, 4))
    model.register_buffer("inv_freq", 1 / 10000 ** (torch.arange(8) / 8))
    return model


def trained(steps: int = 3) -> Tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-4, amsgrad=True)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, 16)).square().sum().backward()
        optimizer.step()
    return model, optimizer


# Every tensor of its state.
MOMENTS = ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
ADAM = [f"state.{number}.{name}" for number in range(6) for name in MOMENTS]


def below(prefix: str, names: List[str]) -> List[str]:
    return [f"{prefix}.{name}" for name in names]


@content("training/adam", float32=["model.inv_freq"] + below("optimizer", ADAM))
def adam() -> Any:
    model, optimizer = trained()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}


@content("training/optimizer-and-model", float32=ADAM + ["model.inv_freq"])
def optimizer_and_model() -> Any:
    """An optimizer's own dict, which trainers also save by itself."""
    model, optimizer = trained()
    return {**optimizer.state_dict(), "model": model.state_dict()}


@content("training/whole-optimizer", float32=[f"state.?.{name}" for name in MOMENTS])
def whole_optimizer() -> Any:
    """The object itself, whose state has parameters for keys."""
    return trained()[1]


@content("training/by-hand", float32=["model_state_dict.inv_freq"] +
         below("optimizer_state_dict", ADAM))
def by_hand() -> Any:
    """As torch's own tutorial saves."""
    model, optimizer = trained()
    return {"epoch": 3, "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(), "loss": torch.tensor(0.5)}


@content("training/cosyvoice-ddp", float32=["inv_freq"])
def cosyvoice_ddp() -> Any:
    return {**make_model().state_dict(), "epoch": 12, "step": 70001}


@content("training/deepspeed", float32=["module.inv_freq"] + below("optimizer", ADAM))
def deepspeed() -> Any:
    """mp_rank_00_model_states.pt, without ZeRO."""
    model, optimizer = trained()
    shapes = OrderedDict((name, value.shape) for name, value in model.named_parameters())
    return {"module": model.state_dict(), "buffer_names": ["inv_freq"],
            "optimizer": optimizer.state_dict(), "param_shapes": [shapes],
            "frozen_param_shapes": None, "shared_params": {}, "frozen_param_fragments": None,
            "lr_scheduler": {"base_lrs": [0.01], "last_epoch": 3, "_step_count": 4},
            "data_sampler": None, "random_ltd": None, "sparse_tensor_module_names": set(),
            "skipped_steps": 0, "global_steps": 3, "global_samples": 6, "dp_world_size": 1,
            "mp_world_size": 1, "ds_config": {"train_batch_size": 2, "fp16": {"enabled": False}},
            "ds_version": "0.15.1", "epoch": 12, "step": 70001}


@content("training/lightning", float32=["state_dict.model.inv_freq", "ema.model.inv_freq"] +
         below("optimizer_states.0", ADAM))
def lightning() -> Any:
    model, optimizer = trained()
    weights = OrderedDict((f"model.{name}", value) for name, value in model.state_dict().items())
    best = {"monitor": "loss", "best_model_score": torch.tensor(0.3), "best_model_path": "a.ckpt",
            "best_k_models": {"a.ckpt": torch.tensor(0.3)}}
    loop = {"state_dict": {}, "epoch_progress": {"current": {"ready": 1, "completed": 1}}}
    return {"epoch": 1, "global_step": 3, "pytorch-lightning_version": "2.4.0",
            "state_dict": weights, "loops": {"fit_loop": loop},
            "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": best},
            "optimizer_states": [optimizer.state_dict()],
            "lr_schedulers": [{"gamma": 0.9, "last_epoch": 1, "_last_lr": [0.009]}],
            "hparams_name": "kwargs", "hyper_parameters": {"lr": 0.01, "width": 24},
            "MixedPrecision": {"scale": 65536.0}, "ema": copy.deepcopy(dict(weights))}
