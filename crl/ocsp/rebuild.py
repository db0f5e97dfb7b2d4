"""Making an empty local store from a long status log: sorted on disk, then written in one pass.

Ten million statuses that go into the store one after the other touch nearly every page of it each
time. Here the database packs its log (`ca.packedstatus`), ranges of it are sorted into files by
the first octets of their keys, and each file, sorted as a whole, is appended to the store.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from ca.packedstatus import KEY_OCTETS, NUMBER, RECORD_OCTETS, position_in
from ca.store import StatusLog
from crl.ocsp.layout import Place
from crl.ocsp.store import StatusStore

log = logging.getLogger(__name__)

_RANGE: Final = 100_000
_PREFIX: Final = NUMBER.size + 1
"""Issuer, and the first octet of the serial number."""


def rebuild(status_log: StatusLog, store: StatusStore, directory: Path) -> bool:
    """Fill the store with what the log says now. False: the log is empty.

    `directory` takes 56 octets for each entry of the log meanwhile. Raises `Unavailable`.
    """
    last = status_log.find_last()
    if last is None:
        return False
    numbers = store.give_numbers(status_log.list_issuers())
    with ExitStack() as stack:
        piles = _Piles(directory, stack)
        # The next range is read while the one before is sorted.
        reader = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="rebuild"))
        ranges = range(0, last.position, _RANGE)
        reading = [
            reader.submit(status_log.pack, begin, min(begin + _RANGE, last.position), numbers)
            for begin in ranges[:2]
        ]
        for begin in ranges:
            piles.add(reading.pop(0).result())
            ahead = begin + 2 * _RANGE
            if ahead < last.position:
                end = min(ahead + _RANGE, last.position)
                reading.append(reader.submit(status_log.pack, ahead, end, numbers))
            log.info("status log read", extra={"position": begin, "last": last.position})
        store.fill(piles.sorted(), Place(last.position, last.mark))
    return True


class _Piles:
    """Records by the first octets of their keys, in files that nobody else sees."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._files: dict[bytes, IO[bytes]] = {}

    def add(self, packed: bytes) -> None:
        records = _records(packed)
        records.sort()
        begin = 0
        while begin < len(records):
            prefix = records[begin][:_PREFIX]
            end = bisect_left(records, _after(prefix), begin)
            self._file(prefix).write(b"".join(records[begin:end]))
            begin = end

    def sorted(self) -> Iterator[Sequence[tuple[bytes, bytes]]]:
        for _, file in sorted(self._files.items()):
            file.seek(0)
            records = _records(file.read())
            records.sort()
            items = [(one[:KEY_OCTETS], one[KEY_OCTETS:]) for one in records]
            known = dict(items)
            if len(known) < len(items):
                # What the log says last about a certificate holds.
                records.sort(key=position_in)
                known = {one[:KEY_OCTETS]: one[KEY_OCTETS:] for one in records}
                items = sorted(known.items())
            yield items

    def _file(self, prefix: bytes) -> IO[bytes]:
        file = self._files.get(prefix)
        if file is None:
            file = TemporaryFile(dir=self._directory)  # noqa: SIM115 - the stack closes it
            self._stack.enter_context(file)
            self._files[prefix] = file
        return file


def _records(packed: bytes) -> list[bytes]:
    return [packed[at : at + RECORD_OCTETS] for at in range(0, len(packed), RECORD_OCTETS)]


def _after(prefix: bytes) -> bytes:
    """Return the least octets that sort behind all that begin with `prefix`."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(_PREFIX + 1, "big")[-_PREFIX:]
