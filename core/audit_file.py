"""The audit chain in files: append-only JSON lines in a directory of their own."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from core.audit_chain import StoredEvent
from core.audit_export import Line
from core.errors import Unavailable

log = logging.getLogger(__name__)

PATTERN: Final = "audit-*.jsonl"
_TAIL: Final = 16 * 1024 * 1024
"""More than a batch of lines: the last row is always in it."""


class FileTarget:
    """`core.audit_export.AuditTarget` in a directory, one file after the other."""

    name = "file"

    def __init__(self, directory: Path, *, rotate_octets: int) -> None:
        self._directory = directory
        self._rotate_octets = rotate_octets
        self._file: BinaryIO | None = None
        self._size = 0
        self._last: int | None = None

    def resume(self, sequence: int) -> int:
        """What the newest file says wins: it may be ahead of the cursor, or was cut behind it."""
        try:
            newest = max(self._directory.glob(PATTERN), default=None)
            if newest is None:
                self.close()
                return sequence
            if self._file is None or not self._is_ours(self._file, newest):
                self.close()
                self._open(newest)
        except OSError as error:
            raise self._unavailable(error) from error
        return sequence if self._last is None else self._last

    def write(self, lines: Sequence[Line]) -> None:
        try:
            file = self._file
            if file is None or os.fstat(file.fileno()).st_size >= self._rotate_octets:
                first = next((x.of.sequence for x in lines if isinstance(x.of, StoredEvent)), None)
                if first is not None or file is None:
                    file = self._rotate(lines[0].of.sequence if first is None else first)
            file.write(b"".join(line.text.encode("ascii") + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
            self._size = os.fstat(file.fileno()).st_size
            events = [line.of.sequence for line in lines if isinstance(line.of, StoredEvent)]
            self._last = events[-1] if events else self._last
        except OSError as error:
            self.close()  # what was half written is dropped when it is opened again
            raise self._unavailable(error) from error

    def close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                log.exception("the audit file could not be closed")
            self._file = None

    def _rotate(self, first: int) -> BinaryIO:
        self.close()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"audit-{first:020d}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "ab")
        parent = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
        return self._file

    def _is_ours(self, file: BinaryIO, newest: Path) -> bool:
        """Tell whether the newest file is the one we wrote, as we left it."""
        present = newest.stat()
        return present.st_ino == os.fstat(file.fileno()).st_ino and present.st_size == self._size

    def _open(self, path: Path) -> None:
        """Open a file that an earlier process left, and cut the half line of a crash off it."""
        octets, size = _tail(path), path.stat().st_size
        torn = len(octets) - (octets.rfind(b"\n") + 1)
        self._last = _last_sequence(path, octets[: len(octets) - torn])
        self._file = path.open("ab")
        if torn:
            log.warning("dropping half a line of the audit file", extra={"file": str(path)})
            self._file.truncate(size - torn)
        self._size = size - torn

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(f"audit files in {self._directory}: {error.strerror}")


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read()


def _last_sequence(path: Path, tail: bytes) -> int | None:
    for line in reversed(tail.splitlines()):
        try:
            body = json.loads(line)
            if "checkpoint" not in body:
                return int(body["sequence"])
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"{path} was changed: its end is not what was written") from error
    return None
