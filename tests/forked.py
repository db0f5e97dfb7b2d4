"""Processes of ``yinxin``, forked from one that has imported it already.

Importing costs three seconds of processor and is nine tenths of what a command costs; the suite
starts some three hundred processes. Each is a process of its own, with its own environment, files
and end: only the imports are shared. What is measured, or is about the start itself, starts an
interpreter instead (`tests.service.Service.fresh`).
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests import cheap

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["__main__", "tests.preloaded"])


@cache
def _turn_of_keys() -> str:
    directory = tempfile.mkdtemp(prefix="yinxin-keys-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return f"{directory}/turn"


class Forked:
    """A process, with those words of `subprocess.Popen` that tests use."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], *, said: Path, errors: Path,
        given: str = "",
    ) -> None:  # fmt: skip
        """Start. `said`, `errors`: files to append to; `given`: what it reads."""
        environment = {cheap.TURN: _turn_of_keys(), **environment}
        self._process = FORKS.Process(
            target=_run, args=(words, environment, str(said), str(errors), given)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return how it ended: a code, a signal as a negative number, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Raises `subprocess.TimeoutExpired` after these seconds."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("yinxin", timeout)
        return code

    def kill(self) -> None:
        """As a power cut would."""
        self._process.kill()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def run(
    words: Sequence[str], environment: Mapping[str, str], *, given: str, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `subprocess.run` would."""
    with tempfile.TemporaryDirectory(prefix="yinxin-said-") as directory:
        said, errors = Path(directory, "said"), Path(directory, "errors")
        process = Forked(words, environment, said=said, errors=errors, given=given)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(seconds)
            raise
        return subprocess.CompletedProcess(words, code, said.read_text(), errors.read_text())


def call(function: Callable[..., None], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Call a function of a module, with what can be pickled, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="yinxin-said-") as directory:
        errors = Path(directory, "errors")
        errors.touch()
        process = FORKS.Process(target=_call, args=(str(errors), function, arguments))
        process.start()
        process.join(120)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(function.__name__, 120)
        return subprocess.CompletedProcess(
            function.__name__, process.exitcode, "", errors.read_text()
        )


def _call(errors: str, function: Callable[..., None], arguments: Sequence[object]) -> None:
    sys.stderr = Path(errors).open("w", 1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - until its end
    function(*arguments)


def _run(
    words: Sequence[str], environment: Mapping[str, str], said: str, errors: str, given: str
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    read, write = os.pipe()
    os.write(write, given.encode())  # a line or two: a pipe holds 64 KiB
    os.close(write)
    os.dup2(read, 0)
    os.close(read)
    for number, path in ((1, said), (2, errors)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - until its end
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    from yinxin.cli import main

    main(args=list(words), prog_name="yinxin")
