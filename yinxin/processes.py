"""Processes of one service: forked from a small parent, started again when they end."""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from core.errors import Misconfigured, TrustError
from yinxin.roles.say import say

log = logging.getLogger(__name__)

_HEARD: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
_REFUSED: Final = 78
"""EX_CONFIG: it said why it cannot start, and would say it again."""
_PR_SET_NAME: Final = 15  # linux/prctl.h
_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0
_STEADY_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 30.0


@dataclass(slots=True)
class _Child:
    name: str
    act: Callable[[], None]
    pid: int = 0
    since: float = 0.0
    pause: float = _PAUSE_SECONDS
    due: float = 0.0
    served: bool = False
    """It ran for a while once."""


def supervise(acts: Mapping[str, Callable[[], None]]) -> None:
    """Run each act in a process of its own until SIGTERM or SIGINT; none outlives this one.

    The parent must have no threads. What ends is started again, later each time. Raises
    `Misconfigured` when one cannot start, and never could, after the others were stopped.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    # Objects that the children share must not move apart because somebody counted them.
    gc.freeze()
    alive = os.pipe()
    children = {name: _Child(name, act) for name, act in acts.items()}
    for child in children.values():
        _start(child, alive)
    refused = _watch(children, alive)
    _stop(children)
    if refused is not None:
        raise Misconfigured(f"{refused} cannot be started; it said why above")


def _watch(children: dict[str, _Child], alive: tuple[int, int]) -> str | None:
    """Return when it is time to stop; the name of one that cannot start, if that is why."""
    while True:
        heard = signal.sigtimedwait(_HEARD, _PAUSE_SECONDS)
        if heard is not None and heard.si_signo != signal.SIGCHLD:
            return None
        now = time.monotonic()
        while (ended := _reap(children)) is not None:
            name, code = ended
            child = children[name]
            child.pid = 0
            steady = now - child.since > _STEADY_SECONDS
            child.served = child.served or steady
            # What has served with these settings comes back as soon as, say, the database does;
            # until then the others go on.
            if code == _REFUSED and not child.served:
                return name
            child.pause = _PAUSE_SECONDS if steady else child.pause
            child.due = now + child.pause
            child.pause = min(2 * child.pause, _LONGEST_PAUSE_SECONDS)
            log.error("a process ended and is started again", extra={"child": name, "code": code})
        for child in children.values():
            if child.pid == 0 and now >= child.due:
                _start(child, alive)


def _reap(children: dict[str, _Child]) -> tuple[str, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    found = (name for name, child in children.items() if child.pid == pid and pid)
    name = next(found, None)
    return None if name is None else (name, os.waitstatus_to_exitcode(status))


def _start(child: _Child, alive: tuple[int, int]) -> None:
    child.since = time.monotonic()
    child.pid = os.fork()
    if child.pid == 0:
        os.close(alive[1])
        _name(child.name)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        threading.Thread(target=_end_with_parent, args=(alive[0],), daemon=True).start()
        _run(child.act)


def _name(name: str) -> None:
    """Name this process: in its log lines (`core.observe.JSONLines`), and for `ps`."""
    multiprocessing.current_process().name = name
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def _run(act: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        act()
        code = 0
    except Misconfigured as error:
        say(f"yinxin: {error}")
        code = _REFUSED
    except TrustError as error:
        say(f"yinxin: {error}")
        code = _REFUSED
    except KeyboardInterrupt:
        code = 0
    except Exception:
        log.exception("a process failed")
    finally:
        logging.shutdown()
        os._exit(code)


def _end_with_parent(descriptor: int) -> None:
    # Nothing is ever written: this returns when the parent is gone.
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(children: dict[str, _Child]) -> None:
    running = [child for child in children.values() if child.pid]
    for child in running:
        os.kill(child.pid, signal.SIGTERM)
    until = time.monotonic() + _STOP_SECONDS
    for child in running:
        while os.waitpid(child.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                break
            time.sleep(0.02)
