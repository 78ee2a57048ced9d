# SPDX-License-Identifier: MIT
"""cvq beside what a user would take instead.

    run.sh [--rounds N] [--short] [--only NUMBER,...] [--folder DIR] [--json FILE]

Each side is interleaved with its rival, A B A B ..., and the medians are compared:
absolute numbers mean nothing on a shared machine, ratios do. 'ratio' is cvq's time over
the rival's, so less is better; "x of the rival's speed" is its inverse. Ends with 0
whatever it finds.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Callable, Dict, Iterator, List, Optional, Tuple

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ["CVQ_BUILD"]
CVQ, CVQ_MOUNT = os.path.join(BUILD, "cvq"), os.path.join(BUILD, "cvq-mount")
TOOLS = os.path.join(BUILD, "tests", "bench")
PYTHON = sys.executable


@dataclass
class Result:
    number: str
    what: str
    rival: str
    median: float
    spread: float  # (largest - smallest) / median of cvq's side
    rival_median: float
    ratio: float
    target: Optional[float]
    unit: str = "s"

    def missed(self) -> bool:
        return self.target is not None and self.ratio > self.target


def spread(values: List[float]) -> float:
    return (max(values) - min(values)) / statistics.median(values)


def run(*words: str, **keywords) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True,
                          **keywords).stdout


def seconds_of(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def read_rate(path: str, *options: str) -> float:
    return float(run(os.path.join(TOOLS, "read_rate"), *options, path))


def torch_seconds(code: str, *arguments: str) -> float:
    """What the lines take in a fresh Python that has torch already."""
    program = f"import sys, time, torch\nbegan = time.monotonic()\n{code}\n" \
              "print(time.monotonic() - began)"
    return float(run(PYTHON, "-W", "ignore", "-c", program, *arguments))


def torch_version() -> Tuple[int, int]:
    version = run(PYTHON, "-c", "import torch; print(torch.__version__)")
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def is_root() -> bool:
    return os.geteuid() == 0


def drop_caches() -> None:
    run("sync")
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


class Bench:
    def __init__(self, folder: str, rounds: int, short: bool) -> None:
        self.folder, self.rounds, self.short = folder, rounds, short
        self.results: List[Result] = []
        self.skipped: List[str] = []
        self.view = os.path.join(folder, "view")
        self.null = os.path.join(folder, "null")
        self.model = os.path.join(folder, "model")
        self.native = os.path.join(folder, "native")  # the same FP16 files on the disk
        for path in (self.view, self.null, self.model):
            os.makedirs(path)

    # --- Sides ----------------------------------------------------------------

    @contextmanager
    def mounted(self, *options: str, source: Optional[str] = None) -> Iterator[str]:
        run(CVQ_MOUNT, *options, source or self.model, self.view)
        try:
            yield self.view
        finally:
            run("fusermount3", "-u", self.view)

    @contextmanager
    def rival_server(self, *words: str) -> Iterator[str]:
        """Another file system, served in the foreground at self.null."""
        server = subprocess.Popen([*words, self.null])
        while not os.path.ismount(self.null):
            if server.poll() is not None:
                raise RuntimeError(f"{words[0]} ended with {server.returncode}")
            time.sleep(0.01)
        try:
            yield self.null
        finally:
            run("fusermount3", "-u", self.null)
            server.terminate()  # another mount namespace may still hold it
            server.wait()

    @contextmanager
    def null_server(self, size: int, threads: int = 16, *source: str) -> Iterator[str]:
        program = os.path.join(TOOLS, "null_fs")
        with self.rival_server(program, str(size), str(threads), *source) as null:
            yield os.path.join(null, "file")

    def set_read_ahead(self, mountpoint: str, kilobytes: int) -> None:
        """Of a file system that has answered a request, or its introduction sets the default."""
        device = os.stat(mountpoint).st_dev
        name = f"{os.major(device)}:{os.minor(device)}"
        with open(f"/sys/class/bdi/{name}/read_ahead_kb", "w") as file:
            file.write(str(kilobytes))

    def make_model(self) -> None:
        maker = os.path.join(TESTS, "torch", "models.py")
        made = os.path.join(self.folder, "made")
        scale = "small" if self.short else "full"
        run(PYTHON, maker, made, "--model", "CosyVoice2-0.5B", "--scale", scale, "--only", "llm.pt")
        os.rename(os.path.join(made, "CosyVoice2-0.5B", "llm.pt"),
                  os.path.join(self.model, "llm.pt"))
        shutil.rmtree(made)
        with open(os.path.join(self.model, "other.bin"), "wb") as file:
            for _ in range(2 if self.short else 512):
                file.write(os.urandom(1 << 20))
        run(CVQ, "convert", "--quiet", self.model, self.native)
        self.warm(self.model)

    def warm(self, folder: str) -> None:
        for name in os.listdir(folder):
            read_rate(os.path.join(folder, name))

    # --- Comparing ------------------------------------------------------------

    def compare(self, number: str, what: str, rival: str, target: Optional[float],
                side: Callable[[], float], other: Callable[[], float], times: int = 1) -> None:
        """Lower is better; both sides take turns, and who begins takes turns too.  'times'
        as many rounds are for what differs by less than a median of a few rounds does."""
        mine: List[float] = []
        theirs: List[float] = []
        for turn in range(self.rounds * (1 if self.short else times)):
            if turn % 2:
                theirs.append(other())
            mine.append(side())
            if turn % 2 == 0:
                theirs.append(other())
        ratio = statistics.median(mine) / statistics.median(theirs)
        self.add(Result(number, what, rival, statistics.median(mine), spread(mine),
                        statistics.median(theirs), ratio, target))

    def add(self, result: Result) -> None:
        if self.short:
            result.target = None  # they are for models of gigabytes
        self.results.append(result)
        self.print_row(result)

    def print_row(self, result: Result) -> None:
        target = "" if result.target is None else f"<= {result.target:.2f}"
        mark = "MISSED" if result.missed() else ""
        print(f"{result.number:>3}  {result.what:<44} {result.rival:<25} "
              f"{result.median:9.4f} {result.rival_median:9.4f} {result.unit:<5}"
              f"{result.ratio:7.3f} {target:>8} {100 * result.spread:5.0f}% {mark}", flush=True)

    def skip(self, number: str, why: str) -> None:
        self.skipped.append(f"{number}: {why}")
        print(f"{number:>3}  not measured: {why}", flush=True)

    # --- What is measured -----------------------------------------------------

    def kernel(self) -> None:
        lines = [list(map(float, line.split()))
                 for line in run(os.path.join(TOOLS, "kernel_rate"),
                                 str(self.rounds)).splitlines()]
        l2, ram, copy = (statistics.median(column) for column in zip(*lines))
        cached = [line[0] for line in lines]
        self.add(Result("1", "kernel, buffers in L2", "40 GB/s of FP32", l2, spread(cached),
                        40.0, 40.0 / l2, 1.0, "GB/s"))
        moved = [line[1] for line in lines]
        self.add(Result("1", "kernel, from RAM: bytes moved", "memcpy", ram, spread(moved), copy,
                        copy / ram, 1 / 0.9, "GB/s"))

    def first_read(self) -> None:
        size = os.stat(os.path.join(self.native, "llm.pt")).st_size
        source = os.path.join(self.model, "llm.pt")
        for kilobytes in (128, 1024) if is_root() else (128,):
            for readers in (1, 4):
                what = f"first read, {kilobytes} KiB ahead, {readers} reader(s)"
                options = ["-c", "-t", str(readers)]
                for rival, target, read in (("null server", 1 / 0.95, []),
                                            ("null server, reads source", None, [source])):
                    with self.mounted() as view, self.null_server(size, 16, *read) as null:
                        file = os.path.join(view, "llm.pt")
                        if is_root():
                            self.set_read_ahead(view, kilobytes)
                            self.set_read_ahead(self.null, kilobytes)
                        self.compare("2", what, rival, target, lambda: read_rate(file, *options),
                                     lambda: read_rate(null, *options))
        if not is_root():
            self.skip("2", "readahead of 1 MiB needs root")

    def second_read(self) -> None:
        native = os.path.join(self.native, "llm.pt")
        with self.mounted() as view, self.null_server(os.stat(native).st_size) as null:
            file = os.path.join(view, "llm.pt")
            for path in (file, native, null):
                read_rate(path)
            self.compare("3", "second read", "native", 1 / 0.98, lambda: read_rate(file),
                         lambda: read_rate(native))
            self.compare("3", "second read", "null server, second read", None,
                         lambda: read_rate(file), lambda: read_rate(null))

    def loading(self) -> None:
        load = "d = torch.load(sys.argv[1], map_location='cpu')"
        half = load + "\nd = {k: v.half() for k, v in d.items()}"
        save = half + "\ntorch.save(d, sys.argv[2])\nd = torch.load(sys.argv[2])"
        source, out = os.path.join(self.model, "llm.pt"), os.path.join(self.folder, "saved.pt")

        def fresh() -> float:
            with self.mounted() as view:
                return torch_seconds(load, os.path.join(view, "llm.pt"))

        self.compare("4", "torch.load, fresh mount", "load + half", 0.5, fresh,
                     lambda: torch_seconds(half, source))
        self.compare("4", "torch.load, fresh mount", "simple_quantize + load", 0.2, fresh,
                     lambda: torch_seconds(save, source, out))
        os.unlink(out)
        mapped = half.replace("'cpu'", "'cpu', mmap=True")
        if torch_version() >= (2, 1):
            self.compare("4", "torch.load, fresh mount", "mmap + half", 1.0, fresh,
                         lambda: torch_seconds(mapped, source))
            touched = mapped.replace("v.half()", "v.view(-1)[::2048].sum()")

            def fresh_and_mapped() -> float:
                with self.mounted() as view:
                    return torch_seconds(touched, os.path.join(view, "llm.pt"))

            self.compare("4", "mmap=True and every page, fresh mount", "mmap + half", 1.0,
                         fresh_and_mapped, lambda: torch_seconds(mapped, source))
        else:
            self.skip("4", "mmap=True needs torch 2.1")
        with self.mounted() as view:
            self.warm(view)
            self.warm(self.native)
            self.compare("4", "second torch.load", "native FP16 file", 1.05,
                         lambda: torch_seconds(load, os.path.join(view, "llm.pt")),
                         lambda: torch_seconds(load, os.path.join(self.native, "llm.pt")))

    def cold_disk(self) -> None:
        if not is_root():
            self.skip("5", "dropping the caches needs root")
            return
        with self.mounted() as view:
            def cold(path: str) -> float:
                drop_caches()
                return read_rate(path)
            self.compare("5", "first read, cold disk", "cat of the FP32 file", 1.05,
                         lambda: cold(os.path.join(view, "llm.pt")),
                         lambda: cold(os.path.join(self.model, "llm.pt")))
        self.warm(self.model)

    def one_tensor(self) -> None:
        reader = os.path.join(TESTS, "torch", "read_one_tensor.py")
        maker = os.path.join(TESTS, "torch", "sparse_checkpoint.py")
        sources, native = {}, os.path.join(self.folder, "sparse.pt")
        for gigabytes in (2, 8):  # its weights are holes: only what is read counts
            sources[gigabytes] = os.path.join(self.folder, f"sparse-{gigabytes}")
            os.makedirs(sources[gigabytes])
            run(PYTHON, maker, os.path.join(sources[gigabytes], "llm.pt"), str(gigabytes << 28))
        with self.mounted(source=sources[2]) as view:
            shutil.copyfile(os.path.join(view, "llm.pt"), native)
        bytes_read = 0

        def through_view(gigabytes: int) -> float:
            nonlocal bytes_read
            began = time.monotonic()
            with self.mounted(source=sources[gigabytes]) as view:
                run(PYTHON, reader, os.path.join(view, "llm.pt"), "small.0", "map")
                taken = time.monotonic() - began
                bytes_read = json.loads(os.getxattr(view, "user.cvq.status"))["bytes_read"]
            return taken

        mine, theirs = [], []
        for _ in range(self.rounds):
            theirs.append(seconds_of(lambda: run(PYTHON, reader, native, "small.0", "map")))
            mine.append(through_view(2))
        beyond = statistics.median(mine) - statistics.median(theirs)
        self.add(Result("6", "mount + one tensor, beyond native", "50 ms", beyond, spread(mine),
                        0.050, beyond / 0.050, 1.0))
        self.add(Result("6", "bytes of the source read for it", "4 MiB", bytes_read / 2 ** 20, 0,
                        4.0, bytes_read / 2 ** 22, 1.0, "MiB"))
        self.compare("6", "mount + one tensor, 8 GB model", "2 GB model", 1.2,
                     lambda: through_view(8), lambda: through_view(2))
        os.unlink(native)

    def converting(self) -> None:
        source, out = os.path.join(self.model, "llm.pt"), os.path.join(self.folder, "out")
        alone = os.path.join(self.folder, "alone")
        os.makedirs(alone, exist_ok=True)
        os.link(source, os.path.join(alone, "llm.pt"))

        def convert() -> float:
            shutil.rmtree(out, ignore_errors=True)
            run("sync")
            return seconds_of(lambda: run(CVQ, "convert", "--quiet", alone, out))

        def copy(command: str) -> float:
            shutil.rmtree(out, ignore_errors=True)
            run("rm", "-f", out + ".cp")
            run("sync")
            return seconds_of(lambda: run("sh", "-c", command, "sh", source, out + ".cp"))

        def script() -> float:
            shutil.rmtree(out, ignore_errors=True)
            run("sync")
            code = "d = {k: v.half() for k, v in torch.load(sys.argv[1]).items()}\n" \
                   "torch.save(d, sys.argv[2])"
            return torch_seconds(code, source, out + ".cp")

        command = 'cp --reflink=never "$1" "$2"'
        self.compare("7", "cvq convert (with fsync)", "cp (without)", 0.7, convert,
                     lambda: copy(command))
        self.compare("7", "cvq convert (with fsync)", "cp, then sync", 0.7, convert,
                     lambda: copy(command + ' && sync "$2"'))
        self.compare("7", "cvq convert (with fsync)", "simple_quantize.py", 0.1, convert, script)
        os.unlink(out + ".cp")
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(alone)

    def seal(self) -> None:
        def stream(checksum: str) -> float:
            with self.mounted("--checksum", checksum) as view:
                return read_rate(os.path.join(view, "llm.pt"))
        self.compare("8", "streaming, checksum=seal", "checksum=none", 1.05,
                     lambda: stream("seal"), lambda: stream("none"), times=5)

    def memory(self) -> None:
        with self.mounted() as view:
            pid = json.loads(os.getxattr(view, "user.cvq.status"))["pid"]

            def resident() -> float:
                with open(f"/proc/{pid}/status") as file:
                    line = next(line for line in file if line.startswith("VmRSS"))
                return int(line.split()[1]) / 1024

            file = os.path.join(view, "llm.pt")
            readers = [subprocess.Popen([os.path.join(TOOLS, "read_rate"), "-c", file],
                                        stdout=subprocess.DEVNULL) for _ in range(8)]
            for reader in readers:
                reader.wait()
            after_readers = resident()
            half = 2 if self.short else 25
            for _ in range(half):
                read_rate(file, "-c")
            after_half = resident()
            for _ in range(half):
                read_rate(file, "-c")
            after_loads = resident()
        self.add(Result("9", "daemon, 8 readers", "24 MiB", after_readers, 0, 24.0,
                        after_readers / 24, 1.0, "MiB"))
        self.add(Result("9", f"daemon, {2 * half} loads later", "24 MiB", after_loads, 0, 24.0,
                        after_loads / 24, 1.0, "MiB"))
        self.add(Result("9", f"daemon, {2 * half} loads later", f"after {half}", after_loads, 0,
                        after_half, after_loads / after_half, 1.1, "MiB"))

    def processes(self) -> None:
        plain = "import sys, torch\nd = torch.load(sys.argv[1], map_location='cpu'"
        programs = {"load": plain + ")"}
        if torch_version() >= (2, 1):
            programs["map"] = plain + ", mmap=True)\nsum(v.sum() for v in d.values())"
        else:
            self.skip("10", "mmap=True needs torch 2.1")
        native = os.path.join(self.native, "llm.pt")

        def eight(program: str, path: str) -> float:
            def all_of_them() -> None:
                started = [subprocess.Popen([PYTHON, "-W", "ignore", "-c", program, path])
                           for _ in range(8)]
                assert not any(process.wait() for process in started)
            return seconds_of(all_of_them)

        with self.mounted() as view:
            file = os.path.join(view, "llm.pt")
            eight(programs["load"], file)
            pages = float(run(os.path.join(BUILD, "tests", "tools", "cached_bytes"), file))
            pages /= 2 ** 20
            size = os.stat(file).st_size / 2 ** 20
            self.add(Result("10", "page cache after 8 processes loaded", "the file's size", pages,
                            0, size, pages / size, 1.001, "MiB"))
            for word, program in programs.items():
                self.warm(self.native)
                self.compare("10", f"8 processes {word}, cached", "native FP16 file", 1.1,
                             lambda: eight(program, file), lambda: eight(program, native))

    def pass_through(self) -> None:
        source = os.path.join(self.model, "other.bin")
        size = os.stat(source).st_size
        with self.mounted() as view, self.null_server(size) as null:
            file = os.path.join(view, "other.bin")
            self.compare("11", "passed-through file, first read", "null server", 1 / 0.95,
                         lambda: read_rate(file, "-c"), lambda: read_rate(null, "-c"))
            self.compare("11", "passed-through file, first read", "native (passthrough only)",
                         None, lambda: read_rate(file, "-c"), lambda: read_rate(source))

    def many_files(self) -> None:
        rival = os.path.join(TOOLS, "passthrough_ll")
        if not os.path.exists(rival) or not is_root():
            self.skip("12", "needs root and libfuse's passthrough_ll")
            return
        source = os.path.join(self.folder, "many")
        # The rival keeps a descriptor for every file it was asked for.
        _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        files = 1000 if self.short else min(100000, limit * 3 // 4)
        for number in range(files):
            folder = os.path.join(source, str(number // 1000))
            if number % 1000 == 0:
                os.makedirs(folder)
            with open(os.path.join(folder, f"{number}.txt"), "w"):
                pass

        def find(mountpoint: str) -> float:
            with open(os.devnull, "w") as null:
                return seconds_of(lambda: subprocess.run(["find", mountpoint, "-ls"],
                                                         stdout=null, check=True))

        def through_view() -> float:
            with self.mounted(source=source) as view:
                return find(view)

        def through_rival() -> float:
            with self.rival_server(rival, "-f", "-o", f"source={source}") as null:
                return find(null)

        self.compare("12", f"find -ls, {files} files", "passthrough_ll", 1.2, through_view,
                     through_rival)
        shutil.rmtree(source)

    def random_reads(self) -> None:
        size = os.stat(os.path.join(self.native, "llm.pt")).st_size
        count = "2000" if self.short else "100000"
        options = ["-c", "-t", "4", "-r", count]
        for rival, threads, target in (("null server", 16, 1 / 0.9),
                                       ("null server, 1 thread", 1, None)):
            with self.mounted() as view, self.null_server(size, threads) as null:
                file = os.path.join(view, "llm.pt")
                self.compare("13", "4 KiB random reads, 4 threads", rival, target,
                             lambda: read_rate(file, *options), lambda: read_rate(null, *options))

    def everything(self) -> Dict[str, Callable[[], None]]:
        return {"1": self.kernel, "2": self.first_read, "3": self.second_read, "4": self.loading,
                "5": self.cold_disk, "6": self.one_tensor, "7": self.converting, "8": self.seal,
                "9": self.memory, "10": self.processes, "11": self.pass_through,
                "12": self.many_files, "13": self.random_reads}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, help="5, or 1 in the short form")
    parser.add_argument("--short", action="store_true", help="a small model: does it run at all")
    parser.add_argument("--only", help="numbers of what is to be measured")
    parser.add_argument("--folder", default=os.environ.get("TMPDIR", "/var/tmp"),
                        help="where there is room for 8 GB")
    parser.add_argument("--json", help="write the results to this file too")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="cvq-bench-", dir=arguments.folder) as folder:
        rounds = arguments.rounds or (1 if arguments.short else 5)
        bench = Bench(folder, rounds, arguments.short)
        bench.make_model()
        print(f"{'#':>3}  {'what':<44} {'rival':<25} {'cvq':>9} {'rival':>9}      {'ratio':>7} "
              f"{'target':>8} spread")
        for number, measure in bench.everything().items():
            if not arguments.only or number in arguments.only.split(","):
                measure()
    missed = [f"{result.number}: {result.what}, beside {result.rival}"
              for result in bench.results if result.missed()]
    aims = sum(result.target is not None for result in bench.results)
    print(f"{aims - len(missed)} targets met, {len(missed)} missed, "
          f"{len(bench.skipped)} not measured")
    for line in missed:
        print(f"  missed {line}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"results": [asdict(result) for result in bench.results],
                       "missed": missed, "not_measured": bench.skipped}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
