"""After an older database was put back: what a local store knows and the database forgot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from ca.serials import to_hex
from ca.store import CertificateState, CertificateStatus, CertificateStore, StatusChange
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict
from core.transaction import Transactions

_S = CertificateState
_PORTION: Final = 1000
_SEVERITY: Final = {_S.ISSUED: 0, _S.HELD: 1, _S.REVOKED: 2}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One certificate about which the store knows more than the database."""

    issuer: str
    serial: int
    known: CertificateStatus
    found: CertificateState | None
    """What the database says; None: nothing."""


class ReconciliationStore(Protocol):
    """What is compared and re-entered. Every method joins the open transaction."""

    def find_states(self, issuer: str, serials: Sequence[int]) -> Mapping[int, CertificateState]:
        """Return the states of those that there are."""
        ...

    def enter_lost(self, issuer: str, serial: int, known: CertificateStatus, *, actor: str) -> None:
        """Enter a certificate of which nothing but its status is left, as issued."""
        ...


def find_forgotten(
    statuses: Iterable[tuple[str, int, CertificateStatus]],
    store: ReconciliationStore,
    progress: Callable[[int], object] = lambda _: None,
) -> Iterator[Forgotten]:
    """Compare everything in `statuses` with the database.

    What the database knows and the copy does not is newer, and no fault. A certificate that is
    held here and issued there may have been released since: it is held again, and whoever knows
    better releases it.
    """
    walking, done = iter(statuses), 0
    while portion := list(islice(walking, _PORTION)):
        by_issuer: dict[str, dict[int, CertificateStatus]] = {}
        for issuer, serial, status in portion:
            by_issuer.setdefault(issuer, {})[serial] = status
        for issuer, some in by_issuer.items():
            states = store.find_states(issuer, list(some))
            for serial, known in some.items():
                found = states.get(serial)
                if _SEVERITY.get(found or _S.RESERVED, -1) < _SEVERITY[known.state]:
                    yield Forgotten(issuer, serial, known, found)
        done += len(portion)
        progress(done)


def reenter(
    forgotten: Forgotten,
    *,
    store: ReconciliationStore,
    certificates: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
    actor: str,
) -> None:
    """Make the database know it again, with its audit event, in one transaction. Repeatable.

    A revocation keeps its date and reason. Raises `Conflict` when it changed at the same moment.
    """
    known = forgotten.known
    with transactions.transaction():
        if _SEVERITY.get(forgotten.found or _S.RESERVED) is None:
            store.enter_lost(forgotten.issuer, forgotten.serial, known, actor=actor)
        if known.state is not _S.ISSUED:
            change = StatusChange(
                issuer=forgotten.issuer,
                serial=forgotten.serial,
                expected=(_S.ISSUED, _S.HELD),
                state=known.state,
                revoked_at=known.revoked_at,
                reason=known.reason,
                at=clock.now(),
                actor=actor,
            )
            if certificates.change_status(change) is None:
                raise Conflict("the status changed at the same moment: run it again")
        audit.record(
            "certificate.reconciled",
            actor=actor,
            detail={
                "issuer": forgotten.issuer,
                "serial": to_hex(forgotten.serial),
                "found": forgotten.found,
                "state": known.state,
                "reason": known.reason,
            },
        )
