"""`NodeStore` in SQL."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from ca.reasons import RevocationReason
from ca.serials import from_hex
from ca.store import CertificateState
from ca.tables import certificates
from core.db import Database
from crl.nodes import REQUESTER, NodeResponder

_C: Final = certificates.c
_BEHIND: Final = REQUESTER[:-1] + chr(ord(REQUESTER[-1]) + 1)


class SQLNodeStore:
    """Reads the certificates by who asked for them. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_responders(self, node: str = "") -> list[NodeResponder]:
        """Return the responders of a node, or of all, by node and the oldest first."""
        asked = (
            _C.requester == REQUESTER + node
            if node
            else (_C.requester >= REQUESTER) & (_C.requester < _BEHIND)
        )
        wanted = (_C.requester, _C.issuer, _C.serial, _C.state, _C.reason, _C.issued_at)
        query = select(*wanted, _C.not_after).where(asked).order_by(_C.requester, _C.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            NodeResponder(
                node=row.requester.removeprefix(REQUESTER),
                issuer=row.issuer,
                serial=from_hex(row.serial),
                state=CertificateState(row.state),
                reason=None if row.reason is None else RevocationReason(row.reason),
                issued_at=row.issued_at,
                not_after=row.not_after,
            )
            for row in rows
        ]
