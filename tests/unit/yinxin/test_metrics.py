"""Several processes count in one place, and each of them says the sum."""

from __future__ import annotations

from pathlib import Path

from core.observe import LOGINS, PUBLICATION_LAG
from tests import forked
from yinxin.metrics import begin_sharing, share_metrics, value


def count(directory: Path, place: str, times: int, waiting: int) -> None:
    share_metrics(directory, place)
    LOGINS.labels("password", "good").inc(times)
    PUBLICATION_LAG.set(waiting)


def look(directory: Path, logins: int, waiting: int) -> None:
    share_metrics(directory, "process-3")
    assert value("yinxin_logins_total", method="password") == logins
    assert value("yinxin_logins_total", method="passkey") == 0
    assert value("yinxin_publication_waiting") == waiting


def run(*call: object) -> None:
    done = forked.call(*call)
    assert done.returncode == 0, done.stderr


def test_counters_are_sums_and_go_on_and_gauges_are_what_was_set_last(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    begin_sharing(directory)
    run(count, directory, "process-1", 3, 40)
    run(count, directory, "process-2", 4, 50)
    run(look, directory, 7, 50)
    # Another process in the place of the first.
    run(count, directory, "process-1", 5, 60)
    run(look, directory, 12, 60)
    begin_sharing(directory)
    run(look, directory, 0, 0)


def test_the_files_are_there_before_they_are_needed(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    begin_sharing(directory)
    run(count, directory, "process-1", 1, 1)
    for file in directory.iterdir():
        assert file.stat().st_blocks * 512 >= 1 << 20
        assert file.stat().st_mode & 0o077 == 0
    assert len(list(directory.iterdir())) == 2
