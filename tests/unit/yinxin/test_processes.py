"""The parent of keeper and workers: what ends is started again, and nothing outlives it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import Misconfigured
from tests.forked import FORKS
from yinxin import processes

_REFUSED = 3


def _live(directory: Path, name: str, fails: int, refuses: int) -> None:
    """Note that it runs, and end badly the first times; then stay."""
    with (directory / name).open("a") as file:
        file.write(f"{os.getpid()}\n")
    times = len(_pids(directory, name))
    if times <= fails:
        raise RuntimeError("as it happens")
    if times <= refuses:
        raise Misconfigured("the database is away")
    signal.pause()


def _pids(directory: Path, name: str) -> list[int]:
    path = directory / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def _parent(directory: Path, fails: int, refuses: int, steady_seconds: float) -> None:
    processes._STEADY_SECONDS = steady_seconds  # type: ignore[misc]
    try:
        processes.supervise(
            {
                "keeper": lambda: _live(directory, "keeper", fails, refuses),
                "worker": lambda: _live(directory, "worker", 0, 0),
            }
        )
    except Misconfigured as error:
        (directory / "error").write_text(str(error))
        os._exit(_REFUSED)


class Parent:
    """One parent in a process of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def start(self, *, fails: int = 0, refuses: int = 0, steady_seconds: float = 30) -> None:
        arguments = (self.directory, fails, refuses, steady_seconds)
        self.process = FORKS.Process(target=_parent, args=arguments)
        self.process.start()

    def pids(self, name: str) -> list[int]:
        return _pids(self.directory, name)

    def running(self, keepers: int) -> bool:
        return len(self.pids("keeper")) == keepers and len(self.pids("worker")) == 1

    def all_gone(self) -> bool:
        return not any(map(_alive, self.pids("keeper") + self.pids("worker")))

    def code(self) -> int | None:
        """How it ended."""
        self.process.join(60)
        return self.process.exitcode


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    one = Parent(tmp_path)
    yield one
    one.process.kill()
    one.process.join(60)
    one.process.close()
    eventually(one.all_gone)


def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_ends_is_started_again_and_the_others_go_on(parent):
    parent.start(fails=2)
    eventually(lambda: parent.running(keepers=3))
    os.kill(parent.process.pid, signal.SIGTERM)
    assert parent.code() == 0
    assert parent.all_gone()


def test_what_never_could_start_ends_all_of_it(parent):
    parent.start(refuses=1)
    assert parent.code() == _REFUSED
    assert "keeper" in (parent.directory / "error").read_text()
    assert len(parent.pids("keeper")) == 1
    assert parent.all_gone()


def test_what_served_before_comes_back_when_it_can(parent):
    parent.start(refuses=2, steady_seconds=-1)
    eventually(lambda: parent.running(keepers=3))


def test_nothing_outlives_a_parent_that_is_killed(parent):
    parent.start()
    eventually(lambda: parent.running(keepers=1))
    parent.process.kill()
    assert parent.code() == -signal.SIGKILL
    eventually(parent.all_gone)
