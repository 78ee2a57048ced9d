#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Shows that a program under cvq run has the terminal as if it were alone.

    job_control.py CVQ SOURCE

An interactive shell runs in a terminal of our own; we type, and read what it shows.
"""
import os
import pty
import re
import select
import shlex
import signal
import sys
import tempfile
import time

# Counts Ctrl-C, and ends with the line that it reads.
COUNTING = """
import signal, sys
count = 0
def note(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, note)
print("READY", flush=True)
line = sys.stdin.readline()
print("COUNTED", count, line.strip(), flush=True)
sys.exit(5)
"""

# Stops itself in a way that nobody can see coming.
STOPPING = """
import os, signal
print("READY", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
print("GOES ON", flush=True)
"""

# Ends at a hangup, and leaves a word.  The shell sends SIGTERM as well.
HANGING = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def note(*_):
    with open(sys.argv[1], "a") as file:
        file.write("HUP")
    sys.exit()
signal.signal(signal.SIGHUP, note)
print("READY", flush=True)
while True:
    time.sleep(0.1)
"""


# Ends at Ctrl-C.  Not one long sleep: Python sleeps through a signal that comes just
# before it.
SLEEPING = """
import time
print("READY", flush=True)
while True:
    time.sleep(0.1)
"""


class Terminal:
    """A shell with job control, whose prompt is "$ ", and what it has shown."""

    def __init__(self) -> None:
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            os.environ.update(PS1="PROMPT> ", TERM="dumb")
            os.execlp("bash", "bash", "--norc", "--noprofile", "--noediting", "-i")
        self.shown = ""
        self.expect("PROMPT> ")

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, pattern: str, seconds: float = 20) -> "re.Match[str]":
        """Waits until the terminal has shown it, and forgets what was before."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.shown)
            if match:
                self.shown = self.shown[match.end():]
                return match
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"the terminal does not show {pattern!r} but {self.shown!r}")
            self.shown += os.read(self.fd, 4096).decode(errors="replace")

    def code(self) -> int:
        self.expect("PROMPT> ")
        self.type("echo CODE=$?\n")
        return int(self.expect(r"\nCODE=(\d+)")[1])


def main() -> None:
    cvq, source = sys.argv[1:]

    def command(program: str, *arguments: str) -> str:
        words = [cvq, "run", source, "--", sys.executable, "-c", program, *arguments]
        # Not all of it in one line: a terminal's line has an end.
        script = tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False)
        with script:
            script.write("exec " + shlex.join(words) + "\n")
        scripts.append(script.name)
        return f"bash {shlex.quote(script.name)}\n"

    scripts: "list[str]" = []
    terminal = Terminal()
    try:
        # Ctrl-C comes once, and ends nobody who does not want it.
        terminal.type(command(COUNTING))
        terminal.expect("READY")
        terminal.type("\x03")
        time.sleep(0.5)
        terminal.type("first\n")
        terminal.expect("COUNTED 1 first")
        assert terminal.code() == 5

        # Ctrl-Z gives the terminal back to the shell, fg gives it back to the program.
        for _ in range(5):
            terminal.type(command(COUNTING))
            terminal.expect("READY")
            for _ in range(3):
                terminal.type("\x1a")
                terminal.expect("Stopped")
                terminal.expect("PROMPT> ")
                terminal.type("fg\n")
                terminal.expect("\n.*bash .*\n")
                time.sleep(0.3)  # until it has the terminal again
            terminal.type("second\n")
            terminal.expect("COUNTED 0 second")
            assert terminal.code() == 5

        # A program that stops itself; and Ctrl-C for one that does not expect it.
        terminal.type(command(STOPPING))
        terminal.expect("READY")
        terminal.expect("Stopped")
        terminal.expect("PROMPT> ")
        terminal.type("fg\n")
        terminal.expect("GOES ON")
        assert terminal.code() == 0
        terminal.type(command(SLEEPING))
        terminal.expect("READY")
        terminal.type("\x03")
        assert terminal.code() == 130

        # The terminal is closed.
        with tempfile.NamedTemporaryFile("r") as log:
            terminal.type(command(HANGING, log.name))
            terminal.expect("READY")
            time.sleep(0.3)  # until it is not writing any more
            os.close(terminal.fd)
            os.kill(terminal.shell, signal.SIGHUP)
            os.waitpid(terminal.shell, 0)
            end = time.monotonic() + 10
            word = ""
            while not word and time.monotonic() < end:
                time.sleep(0.1)
                word = log.read()
            assert word.startswith("HUP"), f"after a hangup the program says {word!r}"
    finally:
        for script in scripts:
            os.unlink(script)


if __name__ == "__main__":
    main()
