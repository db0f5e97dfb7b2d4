"""A directory of files that a web server gives away."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from core.errors import Conflict, Misconfigured, Unavailable
from crl.mirror import Stored, Wanted

_LOCK = ".yinxin-lock"


class DirectoryShelf:
    """`crl.mirror.Shelf` in a local directory: readers see the old file or the new one, whole."""

    name = "directory"

    def __init__(self, directory: Path) -> None:
        """Raises `Misconfigured` when there is no such directory."""
        if not directory.is_dir():
            raise Misconfigured(f"revocation.mirror.directory is not there: {directory}")
        self._directory = directory

    def read(self, path: str) -> Stored | None:
        with _translated():
            try:
                octets = (self._directory / path).read_bytes()
            except FileNotFoundError:
                return None
        return Stored(octets, sha256(octets).hexdigest())

    def write(self, wanted: Wanted, *, instead_of: Stored | None) -> None:
        target = self._directory / wanted.path
        with _translated(), self._locked():
            there = self.read(wanted.path)
            if there != instead_of:
                raise Conflict(f"another process has just written {target}")
            target.parent.mkdir(parents=True, exist_ok=True)
            # Hidden, and beside its target: a rename does not cross file systems.
            passing = target.parent / f".{target.name}.{secrets.token_hex(8)}"
            try:
                with passing.open("xb") as file:
                    file.write(wanted.octets)
                    file.flush()
                    os.fchmod(file.fileno(), 0o644)
                    os.fsync(file.fileno())
                passing.replace(target)
            finally:
                passing.unlink(missing_ok=True)
            _sync(target.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / _LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the directory of CRLs cannot be used: {error.strerror}") from error


def _sync(directory: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
