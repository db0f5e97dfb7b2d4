"""A process that holds keys leaves no core dump, whatever it was allowed before."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import ctypes, os, resource
from yinxin.hardening import refuse_core_dumps
prctl = ctypes.CDLL(None).prctl
before = prctl(3, 0, 0, 0, 0)
refuse_core_dumps()
limit = next(line for line in open("/proc/self/limits") if line.startswith("Max core file size"))
print(before, prctl(3, 0, 0, 0, 0), *limit.split()[4:6], flush=True)
os.abort()
"""


def test_neither_the_limit_nor_the_kernel_allows_a_dump() -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert said.split() == ["1", "0", "0", "0"]
    assert os.WIFSIGNALED(status), "it did crash"
    assert not os.WCOREDUMP(status)
    process.stdout.close()
