"""Taking the log of revocations into the encoded lines of CRLs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from ca.store import Changed, StatusSource
from core.errors import Conflict
from core.transaction import Transactions
from crl.entries import (
    Line,
    encode_entry,
    patched,
    segment_of,
    without_ended,
)
from crl.store import SegmentStore

_AT_ONCE: Final = 50_000
"""Changes in one transaction: what is in memory at a time."""


def follow(
    issuer: str, *, source: StatusSource, store: SegmentStore, transactions: Transactions
) -> int:
    """Take in every change that was committed before this call. Return the position covered.

    May run on several nodes at once: whoever comes second sees it, and looks again.
    """
    while True:
        covered = store.covered(issuer)
        changes = source.list_changed(issuer, after=covered, limit=_AT_ONCE)
        if not changes:
            return covered
        with suppress(Conflict), transactions.transaction():
            # First, because it is the lock under which segments are read and written.
            store.cover(issuer, changes[-1].position, before=covered)
            _take_in(issuer, changes, store)


def drop_ended(
    issuer: str, before: datetime, *, store: SegmentStore, transactions: Transactions
) -> None:
    """Drop the lines of certificates that ended before this moment."""
    second = int(before.timestamp())
    if not store.find_ended(issuer, second):
        return
    with suppress(Conflict), transactions.transaction():
        covered = store.covered(issuer)
        store.cover(issuer, covered, before=covered)
        found = store.find_ended(issuer, second)
        store.put_segments(issuer, [without_ended(one, second) for one in found])


def _take_in(issuer: str, changes: Sequence[Changed], store: SegmentStore) -> None:
    lines: defaultdict[int, dict[int, Line | None]] = defaultdict(dict)
    positions: dict[int, int] = {}
    for change in changes:
        number = segment_of(change.serial)
        entry, ends = change.entry, int(change.not_after.timestamp())
        lines[number][change.serial] = None if entry is None else Line(encode_entry(entry), ends)
        positions[number] = change.position
    known = store.find_segments(issuer, lines)
    store.put_segments(
        issuer,
        [
            patched(known.get(number), changed, number=number, position=positions[number])
            for number, changed in lines.items()
        ],
    )
