#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A Python that has imported torch already, and forks for each one who needs it.

    python_server.py SOCKET

Most of the time of the tests was torch's import, a second or more for each of some
thousand scripts. served_python asks here for a process that runs what its arguments
say, as python3 would: with its open files, environment, folder, credentials and
mount namespace. What cannot be had that way is declined, and runs in a Python of its
own.
"""
import atexit
import ctypes
import gc
import io
import os
import random
import runpy
import select
import signal
import socket
import struct
import sys
import threading
import traceback
import types
import warnings
import weakref
from typing import Dict, List, Tuple

try:
    import torch  # noqa: F401
except ImportError:
    pass  # who asks for it finds out

DECLINED = -1  # in place of a status as of wait(2)
OPEN_FILES = 32  # at most, of who asks; their numbers are below this
ASIDE = 512  # above all descriptors of ours
NAMESPACES = ["user", "pid", "net", "ipc"]  # which a process of ours has to be in
libc = ctypes.CDLL(None, use_errno=True)


# ---------------------------------------------------------------------------
# Becoming the process that somebody asked for
# ---------------------------------------------------------------------------


def text_of(path: str) -> str:
    with open(path) as file:
        return file.read()


def status_of(process: str) -> Dict[str, List[str]]:
    lines = text_of(f"/proc/{process}/status").splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def can_become(client: int) -> bool:
    """Whether all that tells the client from us is what a forked process can change."""
    for path in ["root", *(f"ns/{namespace}" for namespace in NAMESPACES)]:
        if not os.path.samefile(f"/proc/{client}/{path}", f"/proc/self/{path}"):
            return False
    if text_of(f"/proc/{client}/limits") != text_of("/proc/self/limits"):
        return False
    its, ours = status_of(str(client)), status_of("self")
    if len(set(its["Uid"])) > 1 or len(set(its["Gid"])) > 1:
        return False
    same = ["NoNewPrivs"] if its["Uid"] != ours["Uid"] else ["NoNewPrivs", "Gid", "CapEff"]
    return all(its[name] == ours[name] for name in same)


def enter_mount_namespace(client: int) -> None:
    folder, root = (os.open(f"/proc/{client}/{name}", os.O_PATH) for name in ["cwd", "root"])
    if not os.path.samefile(f"/proc/{client}/ns/mnt", "/proc/self/ns/mnt"):
        namespace = os.open(f"/proc/{client}/ns/mnt", os.O_RDONLY)
        if libc.setns(namespace, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(namespace)
        os.fchdir(root)  # the client's may be another than the namespace's
        os.chroot(".")
    os.fchdir(folder)
    os.close(folder)
    os.close(root)


def take_files(files: List[int], numbers: bytes) -> None:
    """Has the client's open files where the client has them, and no others."""
    for index, file in enumerate(files):
        os.dup2(file, ASIDE + index)
    os.closerange(0, ASIDE)
    for index, number in enumerate(numbers):
        os.dup2(ASIDE + index, number)
    os.closerange(ASIDE, ASIDE + len(files))


def become(client: int, files: List[int], numbers: bytes) -> List[str]:
    """Makes of this process the client's; returns its arguments."""
    status = status_of(str(client))
    with open(f"/proc/{client}/cmdline", "rb") as file:
        arguments = [os.fsdecode(word) for word in file.read().split(b"\0")[1:-1]]
    with open(f"/proc/{client}/environ", "rb") as file:
        environment = dict(word.split(b"=", 1) for word in file.read().split(b"\0") if b"=" in word)
    libc.personality(int(text_of(f"/proc/{client}/personality"), 16))
    enter_mount_namespace(client)
    os.environb.clear()
    os.environb.update(environment)
    take_files(files, numbers)
    os.umask(int(status["Umask"][0], 8))
    if int(status["Uid"][1]) != os.geteuid():
        os.setgroups([int(group) for group in status["Groups"]])
        os.setgid(int(status["Gid"][1]))
        os.setuid(int(status["Uid"][1]))
    random.seed()
    return arguments


# ---------------------------------------------------------------------------
# Running as python3 would
# ---------------------------------------------------------------------------


def run(arguments: List[str]) -> None:
    """[-W ACTION] -c CODE | -m MODULE | - | SCRIPT, and the arguments of that."""
    if arguments[0] == "-W":
        warnings.simplefilter(arguments[1])
        arguments = arguments[2:]
    what, rest = arguments[0], arguments[1:]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.path[0] = ""
    if what == "-c":
        sys.argv = ["-c"] + rest[1:]
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    elif what == "-":
        sys.argv = ["-"] + rest
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), main.__dict__)
    elif what == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(what))
        sys.argv = arguments
        runpy.run_path(what, run_name="__main__")


def exit_status(arguments: List[str]) -> int:
    try:
        run(arguments)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def be_client(client: int, files: List[int], numbers: bytes) -> None:
    """In a forked process; does not return."""
    status = 120
    try:
        arguments = become(client, files, numbers)
        sys.stdin = open(0, closefd=False) if 0 in numbers else io.StringIO()
        sys.stdout = open(1, "w", closefd=False, buffering=1 if os.isatty(1) else -1)
        sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")
        status = exit_status(arguments)
        # As python3 ends: waits for threads, and removes temporary folders.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


# ---------------------------------------------------------------------------
# Serving
# ---------------------------------------------------------------------------


def peer(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return struct.unpack("3i", credentials)[0]


def answer(connection: socket.socket, status: int) -> None:
    try:
        connection.sendall(struct.pack("i", status))
    except OSError:
        pass  # it does not wait any more
    connection.close()


class Server:
    def __init__(self, path: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(64)
        self.poll = select.poll()
        self.poll.register(self.listener, select.POLLIN)
        # By the descriptor that tells of the end: of the process, of the client.
        self.jobs: Dict[int, Tuple[int, int, socket.socket]] = {}

    def accept(self) -> None:
        connection, _ = self.listener.accept()
        files: List[int] = []
        try:
            numbers, files, _, _ = socket.recv_fds(connection, OPEN_FILES, OPEN_FILES)
            self.start(connection, files, numbers)
        except OSError:
            answer(connection, DECLINED)
        for file in files:
            os.close(file)

    def start(self, connection: socket.socket, files: List[int], numbers: bytes) -> None:
        client = peer(connection)
        if not numbers or not can_become(client):
            answer(connection, DECLINED)
            return
        process = os.fork()
        if process == 0:
            be_client(client, files, numbers)
        ending = os.pidfd_open(process)
        for descriptor in (ending, connection.fileno()):
            self.poll.register(descriptor, select.POLLIN)
            self.jobs[descriptor] = (process, ending, connection)

    def end(self, descriptor: int) -> None:
        process, ending, connection = self.jobs[descriptor]
        if descriptor != ending:
            os.kill(process, signal.SIGKILL)  # nobody waits for it any more
        _, status = os.waitpid(process, 0)
        for descriptor in (ending, connection.fileno()):
            self.poll.unregister(descriptor)
            del self.jobs[descriptor]
        os.close(ending)
        answer(connection, status)

    def serve(self) -> None:
        while True:
            # The listener is the first, so no number is used again in one round.
            for descriptor, _ in self.poll.poll():
                if descriptor == self.listener.fileno():
                    self.accept()
                elif descriptor in self.jobs:
                    self.end(descriptor)


if __name__ == "__main__":
    server = Server(sys.argv[1])
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False  # what torch made for itself is not a forked process's to remove
    gc.collect()
    gc.freeze()  # what all have in common stays in common
    server.serve()
