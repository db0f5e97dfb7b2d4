"""Two-code pick-up (两码领证): a reference number and an authorisation code, for one key.

The subscriber gets the two by two different ways and brings a CSR with both. Only digests are
kept. The codes serve one key: whoever comes with another is told what a wrong code is told, and
who comes again with the same key gets the same certificate (docs/decisions/0074).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from ca.config import PickupConfig
from ca.csr import CSR, parse_csr
from ca.pickup_codes import Codes, digest, make_codes
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Forbidden
from core.transaction import Transactions

T = TypeVar("T")
_REFUSAL: Final = (
    "the reference number or the authorisation code is wrong, used, locked or expired: "
    "ask your registration office to send new codes"
)


@dataclass(frozen=True, slots=True)
class Pickup:
    """What is kept of them."""

    request_id: str
    reference_digest: bytes
    code_digest: bytes
    created_at: datetime
    expires_at: datetime
    failures: int = 0


class PickupStore(Protocol):
    """Remembers digests. Every method joins the open transaction, or is durable on its own."""

    def put_pickup(self, pickup: Pickup) -> None:
        """Replace the codes of this request. Raises `Conflict` for a reference in use."""
        ...

    def lock_pickup(self, reference_digest: bytes) -> Pickup | None:
        """Find it; nobody else changes it before the open transaction ends."""
        ...

    def count_failure(self, request_id: str) -> None: ...


class AddressThrottle(Protocol):
    """Slows down who guesses from one address."""

    def charge(self, address: str) -> None:
        """Count an attempt before it is judged. Raises `Throttled`."""
        ...

    def refund(self, address: str) -> None:
        """Take the attempt back: it was a right one."""
        ...


class KeyTaker(Protocol):
    """Knows which key a request got (`ca.enrollment.EnrollmentService`, `ca.desk.Desk`)."""

    def taken_key(self, request_id: str) -> bytes:
        """Return its SubjectPublicKeyInfo; empty while it waits for one."""
        ...


class PickupOffers:
    """Makes codes."""

    def __init__(
        self, store: PickupStore, *, config: PickupConfig, audit: AuditLog, clock: Clock
    ) -> None:
        self._store = store
        self._lifetime = timedelta(hours=config.hours)
        self._audit = audit
        self._clock = clock

    def offer(self, request_id: str, *, actor: str) -> Codes:
        """Make new codes for a request; older ones are worth nothing from now on.

        To be called in the transaction that makes the request wait for its pick-up.
        """
        now = self._clock.now()
        codes = make_codes(now + self._lifetime)
        kept = digest(codes.reference), digest(codes.code)
        self._store.put_pickup(Pickup(request_id, *kept, now, codes.expires_at))
        detail = {"request": request_id, "expires": codes.expires_at.isoformat()}
        self._audit.record("pickup.offered", actor=actor, detail=detail)
        return codes


class PickupDesk:
    """Takes codes and a CSR, and says whose they are."""

    def __init__(
        self,
        store: PickupStore,
        keys: KeyTaker,
        *,
        throttle: AddressThrottle,
        config: PickupConfig,
        accept_empty_sm2_id: bool,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keys = keys
        self._throttle = throttle
        self._config = config
        self._accept_empty_sm2_id = accept_empty_sm2_id
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def collect(
        self,
        reference: str,
        code: str,
        csr: bytes,
        *,
        address: str,
        take: Callable[[str, CSR], T],
    ) -> T:
        """Return what `take` gives for the request of the codes and the parsed `csr`.

        `take` gives the request its key, or what that key has got already.

        Raises `Throttled`, and `Forbidden` with one sentence whatever is wrong with the codes.
        What is wrong with the CSR raises what `parse_csr` and the profile say; the codes still
        work then.
        """
        self._throttle.charge(address)
        parsed = parse_csr(csr, accept_empty_sm2_id=self._accept_empty_sm2_id)
        request_id = self._judge(digest(reference), digest(code), parsed.spki, address)
        if request_id is None:
            raise Forbidden(_REFUSAL)
        self._throttle.refund(address)
        try:
            return take(request_id, parsed)
        except Conflict as error:
            if self._taken_by_another(request_id, parsed.spki):
                raise Forbidden(_REFUSAL) from error
            raise

    def _judge(self, reference: bytes, code: bytes, spki: bytes, address: str) -> str | None:
        """Return the request whose codes these are. None: refused, counted and audited."""
        with self._transactions.transaction():
            found = self._store.lock_pickup(reference)
            # An unknown reference costs the same comparison.
            right = hmac.compare_digest(code, reference if found is None else found.code_digest)
            if found is None:
                self._refused(None, "unknown reference", address)
                return None
            if found.failures >= self._config.failures_before_lock:
                self._refused(found, "locked", address)
                return None
            if self._clock.now() >= found.expires_at:
                self._refused(found, "expired", address)
                return None
            if not right or self._taken_by_another(found.request_id, spki):
                self._store.count_failure(found.request_id)
                self._refused(found, "another key" if right else "wrong code", address)
                return None
            return found.request_id

    def _taken_by_another(self, request_id: str, spki: bytes) -> bool:
        return self._keys.taken_key(request_id) not in (b"", spki)

    def _refused(self, found: Pickup | None, why: str, address: str) -> None:
        request = None if found is None else found.request_id
        detail = {"request": request, "why": why, "address": address}
        self._audit.record("pickup.refused", actor="anonymous", detail=detail)
