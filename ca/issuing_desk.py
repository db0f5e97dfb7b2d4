"""Issuing for single requests: those of the same moment share their transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from ca.issuer import Issued, Issuer
from ca.issuing import Group, Issuing, Outcome
from ca.ledger import RequestLedger
from ca.store import CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.gathering import Gathering
from core.transaction import Transactions


class IssuingDesk:
    """Issues groups as `ca.issuance.issue_together` does, several at a time."""

    def __init__(
        self,
        issuers: Mapping[str, Issuer],
        *,
        store: CertificateStore,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
        ledger: RequestLedger,
    ) -> None:
        @cache
        def gathering(issuer: str) -> Gathering[Group, tuple[Issued, ...]]:
            def issue(groups: Sequence[Group]) -> list[Outcome]:
                # Looked up each time: an issuer may get a successor while we run.
                signing = issuers[issuer]
                return Issuing(signing, store, transactions, audit, clock, ledger).issue(groups)

            return Gathering(issue)

        self._gathering = gathering

    def issue(self, group: Group, *, issuer: str) -> tuple[Issued, ...]:
        """Issue all of the group or none. Must not be called inside a transaction."""
        return self._gathering(issuer).ask(group)
