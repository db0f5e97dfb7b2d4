"""Keeping private keys, which are in memory while they are used, out of core dumps."""

from __future__ import annotations

import ctypes
import resource
from typing import Final

from core.errors import Misconfigured

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def refuse_core_dumps() -> None:
    """Have the kernel write no core dump of this process, and let no other of its user trace it.

    The limit is not enough where ``core_pattern`` is a pipe; not being dumpable is, and it also
    closes ``/proc/PID/mem``. Both are inherited by threads, the second not by other programs.
    Raises `Misconfigured` where the kernel does not do it.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        failed = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, ValueError, AttributeError) as error:
        raise Misconfigured(f"this system does not turn core dumps off: {error}") from error
    if failed:
        raise Misconfigured("this system does not turn core dumps off (prctl PR_SET_DUMPABLE)")
