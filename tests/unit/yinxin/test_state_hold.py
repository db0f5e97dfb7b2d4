"""One service in one state directory, also right after another one was killed."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Timer

import pytest

from core.errors import Misconfigured
from yinxin import state as module
from yinxin.state import hold, prepare_state


def test_a_directory_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    state = prepare_state(tmp_path / "var")
    with hold(state), pytest.raises(Misconfigured, match="another yinxin serves"), hold(state):
        pass
    with hold(state):
        pass


def test_what_a_service_that_was_killed_left_running_is_waited_for(tmp_path: Path) -> None:
    state = prepare_state(tmp_path / "var")
    with hold(state):
        # A process that it forked holds the same lock, a little longer.
        (descriptor,) = _descriptors_of(state.directory / "lock")
        left = [os.dup(descriptor)]
    Timer(0.2, lambda: os.close(left.pop())).start()
    with hold(state):
        assert not left


def _descriptors_of(path: Path) -> list[int]:
    return [
        int(one.name)
        for one in Path("/proc/self/fd").iterdir()
        if one.is_symlink() and one.readlink() == path
    ]
