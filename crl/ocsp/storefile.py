"""The LMDB file of the local store: opened, read and written. One process writes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import lmdb

from core.errors import Misconfigured, Unavailable
from crl.ocsp.layout import OTHER_ANSWERS, VERSION

_READERS: Final = 1024
_GIBIBYTE: Final = 1 << 30
_TABLES: Final = ("meta", "statuses", "answers", "issuers", "responders")


class StoreFile:
    """Tables and transactions. Safe to share between threads; not between processes."""

    def __init__(self, environment: lmdb.Environment, *, writable: bool) -> None:
        self.environment = environment
        self._write_lock = threading.Lock()
        self.meta, self.statuses, self.answers, self.issuers, self.responders = (
            environment.open_db(name.encode(), create=writable) for name in _TABLES
        )

    @classmethod
    def open(cls, path: Path, *, gibibytes: int, writable: bool) -> Self:
        """Open the file, made when it is missing and `writable`. Raises `Misconfigured`."""
        try:
            environment = lmdb.open(
                str(path),
                subdir=False,
                map_size=gibibytes * _GIBIBYTE,
                max_dbs=8,
                max_readers=_READERS,
                readonly=not writable,
                readahead=False,
                # A power cut may take the last transaction, and never the file: the log is read
                # again from where the store is.
                metasync=False,
                mode=0o600,
            )
            file = cls(environment, writable=writable)
            file._check_version(writable=writable)
        except lmdb.Error as error:
            raise Misconfigured(
                f"the store {path} cannot be used ({error}): delete it, and it is made again"
            ) from error
        return file

    def close(self) -> None:
        """Close the file, when nobody writes into it."""
        # lmdb 3.0 waits for ever for a transaction that another thread begins while it closes.
        with self._write_lock:
            self.environment.close()

    def get(self, table: Any, key: bytes) -> bytes | None:
        """Return what is under a key now."""
        with self.environment.begin(db=table) as transaction:
            octets: bytes | None = transaction.get(key)
            return octets

    def items(self, table: Any) -> Iterator[tuple[bytes, bytes]]:
        """Return everything in a table, in the order of its keys."""
        with self.environment.begin(db=table) as transaction:
            yield from transaction.cursor()

    @contextmanager
    def writing(self) -> Iterator[lmdb.Transaction]:
        """Open a transaction that is committed at the end. Raises `Unavailable`."""
        try:
            with self._write_lock, self.environment.begin(write=True) as transaction:
                yield transaction
        except lmdb.Error as error:
            raise Unavailable(f"the local status store cannot be written: {error}") from error

    def _check_version(self, *, writable: bool) -> None:
        present = self.get(self.meta, b"version")
        if present is None and writable:
            with self.writing() as transaction:
                transaction.put(b"version", VERSION, db=self.meta)
        elif present == OTHER_ANSWERS and writable:
            # They are signed again as they are asked for.
            with self.writing() as transaction:
                transaction.drop(self.answers, delete=False)
                transaction.put(b"version", VERSION, db=self.meta)
        elif present != VERSION:
            raise Misconfigured(
                "the local status store is of another release: delete status.lmdb in the state "
                "directory, and it is made again"
            )
