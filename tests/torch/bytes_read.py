#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs a command and prints how many bytes it read, as the kernel counted them.

    bytes_read.py COMMAND...
"""
import os
import re
import subprocess
import sys

process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
# It has ended but is still there to be asked.
os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
with open(f"/proc/{process.pid}/io") as file:
    print(re.search(r"rchar: (\d+)", file.read()).group(1))
sys.exit(process.wait())
