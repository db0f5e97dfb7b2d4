"""Copies of CRLs on a node that has the database only now and then, or only to read."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from core.errors import NotFound
from core.observe import CRL_NEXT_UPDATE, CRL_NUMBER
from crl.store import CRLRecord, CRLStore
from keystore.files import write_new

log = logging.getLogger(__name__)


class CRLCopies:
    """The newest CRLs of every issuer that this node has seen, in files of its own."""

    def __init__(self, directory: Path, store: CRLStore) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._store = store
        self._records = {path.name: _read(path) for path in directory.glob("*.crl")}

    def current(self, name: str) -> CRLRecord:
        """Return the copy of a CRL. Raises `NotFound` when there is none."""
        record = self._get(name, delta=False)
        CRL_NUMBER.labels(name).set(record.number)
        CRL_NEXT_UPDATE.labels(name).set(record.next_update.timestamp())
        return record

    def current_delta(self, name: str) -> CRLRecord:
        """Return the copy of a delta CRL. Raises `NotFound` when there is none."""
        return self._get(name, delta=True)

    def refresh(self, issuers: Iterable[str]) -> None:
        """Copy what is newer in the database. Raises `Unavailable`."""
        for issuer in issuers:
            for delta in (False, True):
                for scope, head in self._store.list_heads(issuer, delta=delta).items():
                    self._copy(scope, head.number, delta=delta)

    def _copy(self, scope: str, number: int, *, delta: bool) -> None:
        file = _file(scope, delta=delta)
        known = self._records.get(file)
        # Numbers only grow: an older one is from a database that was put back.
        if known is not None and number <= known.number:
            return
        found = self._store.find_current(scope, delta=delta)
        if found is not None:
            _write(self._directory / file, found)
            self._records[file] = found

    def _get(self, name: str, *, delta: bool) -> CRLRecord:
        record = self._records.get(_file(name, delta=delta))
        if record is None:
            raise NotFound(f"this node has no such CRL: {name!r}")
        return record


def _file(scope: str, *, delta: bool) -> str:
    return f"{scope.replace('/', ',')}{'.delta' if delta else ''}.crl"


def _read(path: Path) -> CRLRecord:
    head, _, octets = path.read_bytes().partition(b"\n")
    fields = json.loads(head)
    for name in ("this_update", "next_update"):
        fields[name] = datetime.fromisoformat(fields[name])
    return CRLRecord(**fields, der=octets)


def _write(path: Path, record: CRLRecord) -> None:
    head = {
        "scope": record.scope,
        "number": record.number,
        "this_update": record.this_update.isoformat(),
        "next_update": record.next_update.isoformat(),
        "position": record.position,
        "entries": record.entries,
        "base": record.base,
    }
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    write_new(temporary, json.dumps(head).encode("ascii") + b"\n" + record.der)
    temporary.replace(path)
