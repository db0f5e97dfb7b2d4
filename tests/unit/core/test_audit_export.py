"""The audit chain off the box: resumed after any crash, and every tampering found beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from core.audit_export import AuditExporter, Line
from core.audit_file import FileTarget
from core.audit_reading import compare, first_row, read_export, verify_export
from core.audit_sql import SQLAuditLog
from core.audit_tables import audit_events, audit_head
from core.db import Database
from core.errors import Malformed, NotFound, Unavailable
from core.observe import AUDIT_EXPORT_LAG
from tests.fakes.clock import FakeClock
from tests.unit.core.test_audit_chain import MemoryCheckpointSigner

signer = MemoryCheckpointSigner()


class MemoryTarget:
    name = "memory"

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.away = False

    def resume(self, sequence: int) -> int:
        return sequence

    def write(self, lines) -> None:
        if self.away:
            raise Unavailable("nobody answers")
        self.lines += lines

    def close(self) -> None:
        pass


class World:
    def __init__(self, database: Database, clock: FakeClock, directory: Path) -> None:
        self.database, self.clock, self.directory = database, clock, directory
        self.log = SQLAuditLog(database, clock=clock)
        self.log.initialise()
        self.made: list[AuditExporter] = []

    def record(self, count: int) -> None:
        for number in range(count):
            self.log.record("thing.done", actor="li", detail={"number": number, "名称": "印信"})

    def exporter(self, *targets, rows: int = 3, seconds: int = 60) -> AuditExporter:
        made = AuditExporter(
            self.log,
            targets or [FileTarget(self.directory, rotate_octets=1 << 20)],
            signer,
            rows=rows,
            seconds=seconds,
        )
        self.made.append(made)
        return made

    @property
    def file(self) -> Path:
        return max(self.directory.glob("*.jsonl"))

    def edit(self, change) -> None:
        lines = self.file.read_bytes().splitlines(keepends=True)
        self.file.write_bytes(b"".join(change(lines)))

    def differences(self) -> list[str]:
        return list(compare(self.directory, self.log.walk(after=first_row(self.directory) - 1)))


@pytest.fixture
def world(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[World]:
    made = World(sqlite_database, clock, tmp_path / "audit")
    yield made
    for exporter in made.made:
        exporter.close()


# ---- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_is_made_after_some_rows_or_some_seconds(world: World) -> None:
    exporter = world.exporter(rows=3, seconds=60)

    def signed() -> list[int]:
        exporter.run()
        return [one.sequence for one in world.log.list_checkpoints()]

    world.record(1)
    assert signed() == [1], "the first one at once"
    world.record(2)
    assert signed() == [1]
    world.record(1)
    assert signed() == [1, 4], "after three rows"
    world.record(1)
    assert signed() == [1, 4]
    world.clock.advance(seconds=60)
    assert signed() == [1, 4, 5], "after sixty seconds"
    world.clock.advance(seconds=600)
    assert signed() == [1, 4, 5], "only when something happened"


# ---- the file -----------------------------------------------------------------------------------


def test_every_row_and_checkpoint_is_in_the_file_once_and_it_verifies_alone(world: World) -> None:
    exporter = world.exporter()
    for _ in range(4):
        world.record(3)
        exporter.run()
        exporter.run()
    exporter.close()
    found = list(read_export(world.file))
    assert [one.sequence for one in found if hasattr(one, "action")] == list(range(1, 13))
    verdict = verify_export(world.directory, signer)
    assert (verdict.fault, verdict.rows, verdict.checkpoints) == (None, 12, 4)
    assert world.differences() == []
    assert world.file.stat().st_mode & 0o777 == 0o600


def test_files_are_rotated_by_size_and_older_ones_may_be_elsewhere(world: World) -> None:
    exporter = world.exporter(FileTarget(world.directory, rotate_octets=700))
    for _ in range(6):
        world.record(2)
        exporter.run()
    exporter.close()
    files = sorted(world.directory.glob("*.jsonl"))
    assert len(files) > 2
    assert verify_export(world.directory, signer).rows == 12
    files[0].unlink()
    verdict = verify_export(world.directory, signer)
    assert (verdict.fault, verdict.rows) == (None, 12)
    assert world.differences() == []


def test_a_restart_goes_on_where_the_file_ends_and_drops_half_a_line(world: World) -> None:
    world.record(3)
    first = world.exporter()
    first.run()
    first.close()
    with world.file.open("ab") as file:
        file.write(b'{"sequence":4,"at":"20')
    # The cursor of a crash between the file and the database is behind.
    world.log.move_cursor("file", 1, 0)
    world.record(2)
    again = world.exporter()
    again.run()
    assert again.faults == {}
    events = [one.sequence for one in read_export(world.file) if hasattr(one, "action")]
    assert events == [1, 2, 3, 4, 5]
    assert verify_export(world.directory, signer).fault is None


def test_rows_that_were_cut_off_the_file_are_written_again(world: World) -> None:
    world.record(5)
    exporter = world.exporter()
    exporter.run()
    world.edit(lambda lines: lines[:3])
    exporter.run()
    assert verify_export(world.directory, signer).rows == 5
    assert world.differences() == []


def test_a_directory_that_cannot_be_written_is_said_and_tried_again(world: World) -> None:
    world.directory.write_text("not a directory")
    world.record(4)
    exporter = world.exporter()
    exporter.run()
    exporter.run()
    assert "audit files in" in exporter.faults["file"]
    world.directory.unlink()
    exporter.run()
    assert exporter.faults == {}
    assert verify_export(world.directory, signer).rows == 4


# ---- a target that is away ----------------------------------------------------------------------


def test_a_target_that_is_away_lags_and_holds_up_no_other(world: World) -> None:
    away, there = MemoryTarget(), MemoryTarget()
    away.away, there.name = True, "there"
    exporter = world.exporter(away, there)
    world.record(5)
    exporter.run()
    assert exporter.faults == {"memory": "nobody answers"}
    assert AUDIT_EXPORT_LAG.labels("memory")._value.get() == 5
    assert AUDIT_EXPORT_LAG.labels("there")._value.get() == 0
    assert len(there.lines) == 6
    away.away = False
    world.record(1)
    exporter.run()
    assert exporter.faults == {}
    assert [x.of.sequence for x in away.lines] == [1, 2, 3, 4, 5, 6, 5]


# ---- tampering ----------------------------------------------------------------------------------


@pytest.fixture
def exported(world: World) -> World:
    world.record(9)
    exporter = world.exporter()
    exporter.run()
    exporter.close()
    assert world.differences() == []
    return world


def test_a_changed_row_of_the_file_is_named(exported: World) -> None:
    exported.edit(
        lambda lines: [line.replace(b'"li"', b'"wu"', i == 3) for i, line in enumerate(lines)]
    )
    assert "row 4 was changed" in str(verify_export(exported.file, signer).fault)
    assert exported.differences() == ["row 4 is not the one that was exported"]


def test_a_removed_row_of_the_file_is_named(exported: World) -> None:
    exported.edit(lambda lines: lines[:4] + lines[5:])
    assert "row 5 is missing" in str(verify_export(exported.file, signer).fault)


def test_swapped_rows_of_the_file_are_found(exported: World) -> None:
    exported.edit(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]])
    assert verify_export(exported.file, signer).first_bad == 2


def test_a_forged_checkpoint_is_found(exported: World) -> None:
    def forge(lines: list[bytes]) -> list[bytes]:
        body = json.loads(lines[-1])
        return [*lines[:-1], json.dumps(body | {"checkpoint": "00" * 32}).encode() + b"\n"]

    exported.edit(forge)
    assert "no valid signature" in str(verify_export(exported.file, signer).fault)


def test_the_last_rows_removed_with_a_rewritten_head_are_named(exported: World) -> None:
    """Nothing in the database can show this: no checkpoint covers them, and the head agrees."""
    exported.record(2)
    exporter = exported.exporter(rows=100)
    exporter.run()
    with exported.database.transaction() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.sequence > 9))
        ninth = connection.execute(audit_events.select().where(audit_events.c.sequence == 9)).one()
        connection.execute(update(audit_head).values(sequence=9, hash=ninth.hash))
    assert exported.log.verify(signer).fault is None
    assert exported.differences() == [
        "row 10 was removed from the database: the export has it",
        "row 11 was removed from the database: the export has it",
    ]
    exporter.run()
    assert "file has row 11 and the database ends at row 9" in exporter.faults["file"]


def test_a_row_changed_in_the_database_is_named(exported: World) -> None:
    with exported.database.transaction() as connection:
        row = update(audit_events).where(audit_events.c.sequence == 7)
        connection.execute(row.values(actor="wu"))
    assert exported.differences() == ["row 7 is not the one that was exported"]


def test_what_is_no_export_is_refused(world: World, tmp_path: Path) -> None:
    world.directory.mkdir()
    with pytest.raises(NotFound):
        first_row(world.directory)
    for text in (b"{}\n", b"\xff\n", b"[]\n", b'{"sequence":true,"at":"x","hash":""}\n', b"1\n"):
        bad = tmp_path / "bad.jsonl"
        bad.write_bytes(text)
        with pytest.raises(Malformed, match="line 1"):
            list(read_export(bad))
