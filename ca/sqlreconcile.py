"""`crl.reconcile.ReconciliationStore` in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, insert, select, update

from ca.serials import from_hex, to_hex
from ca.store import CertificateState, CertificateStatus
from ca.tables import certificates
from core.db import Database

_C = certificates.c
_STATES = select(_C.serial, _C.state).where(
    _C.issuer == bindparam("of_issuer"), _C.serial.in_(bindparam("serials", expanding=True))
)
LOST_PROFILE: Final = "lost"
"""Of a certificate of which nothing but its status is left (docs/revocation.md)."""


class SQLReconciliation:
    """Compares with one database, and enters into it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_states(self, issuer: str, serials: Sequence[int]) -> Mapping[int, CertificateState]:
        wanted = {"of_issuer": issuer, "serials": [to_hex(serial) for serial in serials]}
        with self._database.reading() as connection:
            rows = connection.execute(_STATES, wanted).all()
        return {from_hex(row.serial): CertificateState(row.state) for row in rows}

    def enter_lost(self, issuer: str, serial: int, known: CertificateStatus, *, actor: str) -> None:
        with self._database.transaction() as connection:
            # Reserved or failed here: the intent is there, the certificate is not.
            changed = connection.execute(
                update(certificates)
                .where(_C.issuer == issuer, _C.serial == to_hex(serial))
                .values(state=CertificateState.ISSUED)
            )
            if changed.rowcount:
                return
            connection.execute(
                insert(certificates).values(
                    issuer=issuer,
                    serial=to_hex(serial),
                    state=CertificateState.ISSUED,
                    profile=LOST_PROFILE,
                    subject="",
                    not_before=known.not_after,
                    not_after=known.not_after,
                    tbs=b"",
                    spki_fingerprint="",
                    requester=actor,
                    reserved_at=known.not_after,
                )
            )
