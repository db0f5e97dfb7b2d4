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
    """The newest CRL of every issuer that this node has seen, in files of its own."""

    def __init__(self, directory: Path, store: CRLStore) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._store = store
        self._records = {path.stem: _read(path) for path in directory.glob("*.crl")}

    def current(self, issuer: str) -> CRLRecord:
        """Return the copy. Raises `NotFound` when there is none."""
        record = self._records.get(issuer)
        if record is None:
            raise NotFound(f"this node has no CRL of {issuer!r}")
        CRL_NUMBER.labels(issuer).set(record.number)
        CRL_NEXT_UPDATE.labels(issuer).set(record.next_update.timestamp())
        return record

    def refresh(self, issuers: Iterable[str]) -> None:
        """Copy what is newer in the database. Raises `Unavailable`."""
        for issuer in issuers:
            found, known = self._store.find_current(issuer), self._records.get(issuer)
            # Numbers only grow: an older one is from a database that was put back.
            if found is None or (known is not None and found.number <= known.number):
                continue
            _write(self._directory / f"{issuer}.crl", found)
            self._records[issuer] = found


def _read(path: Path) -> CRLRecord:
    head, _, octets = path.read_bytes().partition(b"\n")
    fields = json.loads(head)
    for name in ("this_update", "next_update"):
        fields[name] = datetime.fromisoformat(fields[name])
    return CRLRecord(**fields, der=octets)


def _write(path: Path, record: CRLRecord) -> None:
    head = {
        "issuer": record.issuer,
        "number": record.number,
        "this_update": record.this_update.isoformat(),
        "next_update": record.next_update.isoformat(),
        "position": record.position,
        "entries": record.entries,
    }
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    write_new(temporary, json.dumps(head).encode("ascii") + b"\n" + record.der)
    temporary.replace(path)
