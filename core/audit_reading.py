"""Verifying what was exported: by itself with the public audit key, and against the database."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from core.audit_chain import Checkpoint, CheckpointVerifier, StoredEvent, Verdict, walk
from core.audit_file import PATTERN
from core.errors import Malformed, NotFound

MAX_LINE: Final = 1024 * 1024
MAX_NAMED: Final = 20
"""How many differing rows are named; more would bury the first."""
_FRAME: Final = re.compile(r"^(?:\d+ )?<\d+>1 (?:\S+ ){6}(?=\{)")
"""What a collector may have left in front of the JSON (`core.audit_syslog.frame`)."""


def read_export(path: Path) -> Iterator[StoredEvent | Checkpoint]:
    """Read a file, or all files of a directory in their order. Raises `Malformed`, `NotFound`.

    The same row twice in a row of files is given once: targets may get a row twice.
    """
    paths = sorted(path.glob(PATTERN)) if path.is_dir() else [path]
    if not paths:
        raise NotFound(f"there is no exported audit file in {path}")
    for one in paths:
        try:
            with one.open("rb") as file:
                for number in itertools.count(1):
                    line = file.readline(MAX_LINE)
                    if not line:
                        break
                    yield _decode(line, f"{one}, line {number}")
        except OSError as error:
            raise NotFound(f"cannot read {one}: {error.strerror}") from error


def verify_export(path: Path, verifier: CheckpointVerifier) -> Verdict:
    """Walk what was exported. Its first row is taken as it is: older files may be elsewhere.

    A cut end is found by comparing with the database only (`compare`).
    """
    checkpoints = {one.sequence: one for one in read_export(path) if isinstance(one, Checkpoint)}
    events = _once(one for one in read_export(path) if isinstance(one, StoredEvent))
    first = next(events, None)
    if first is None:
        return Verdict(0, len(checkpoints), "there is no row", None)
    verdict, _ = walk(
        itertools.chain([first], events),
        checkpoints,
        verifier,
        after=first.sequence - 1,
        previous=first.previous,
    )
    return verdict


def compare(path: Path, database: Iterable[StoredEvent]) -> Iterator[str]:
    """Name the rows that the export has otherwise than the database, at most `MAX_NAMED`.

    `database` gives its rows from the export's first row on. What the database has beyond the
    export's end is not a difference: it has not been exported yet.
    """
    rows, named = iter(database), 0
    ours = next(rows, None)
    for theirs in _once(one for one in read_export(path) if isinstance(one, StoredEvent)):
        while ours is not None and ours.sequence < theirs.sequence:
            ours = next(rows, None)
        if ours is None or ours.sequence != theirs.sequence:
            yield f"row {theirs.sequence} was removed from the database: the export has it"
        elif ours != theirs:
            yield f"row {theirs.sequence} is not the one that was exported"
        else:
            continue
        named += 1
        if named == MAX_NAMED:
            return


def first_row(path: Path) -> int:
    """Return the sequence of the first exported row. Raises `NotFound`."""
    for one in read_export(path):
        if isinstance(one, StoredEvent):
            return one.sequence
    raise NotFound(f"there is no row in {path}")


def _once(events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
    """Leave out rows that came before, as they are: a target may be given a row twice."""
    seen: dict[int, bytes] = {}
    for event in events:
        if seen.get(event.sequence) == event.hash:
            continue
        seen[event.sequence] = event.hash
        if len(seen) > 100_000:
            del seen[next(iter(seen))]
        yield event


def _decode(line: bytes, where: str) -> StoredEvent | Checkpoint:
    try:
        body: dict[str, Any] = json.loads(_FRAME.sub("", line.decode("ascii"), count=1))
        at = datetime.fromisoformat(body["at"])
        sequence, digest = body["sequence"], bytes.fromhex(body["hash"])
        if type(sequence) is not int or at.tzinfo is None:
            raise Malformed(f"{where}: not a row of the audit log")
        if "checkpoint" in body:
            return Checkpoint(sequence, at, digest, bytes.fromhex(body["checkpoint"]))
        return StoredEvent(
            sequence=sequence,
            at=at,
            action=str(body["action"]),
            actor=str(body["actor"]),
            detail=str(body["detail"]),
            previous=bytes.fromhex(body["previous"]),
            hash=digest,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{where}: not a row of the audit log") from error
