"""The three pools: keys are made ahead, assigned to one request each, and kept for ever.

The authority sees a key only as `Assigned`: the public half, and the private half enveloped to
the holder's signing key (the RetKeyRespond of GM/T 0014).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from keystore import sm2
from keystore.envelope import encode_enveloped_key, envelop
from keystore.escrow.config import KeyManagementConfig
from keystore.escrow.store import Assignment, EscrowedKey, EscrowStore, KeyState
from keystore.escrow.vault import Vault

_BATCH: Final = 50


@dataclass(frozen=True, slots=True)
class Assigned:
    """An encryption key for one holder."""

    key_id: str
    public_key: bytes
    """DER SubjectPublicKeyInfo."""
    enveloped: bytes
    """DER SM2EnvelopedKey, to the holder's signing key."""


class KeyManagementCentre:
    """Makes encryption keys ahead, hands each to one request, and never forgets one."""

    def __init__(
        self,
        store: EscrowStore,
        vault: Vault,
        *,
        config: KeyManagementConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._vault = vault
        self._config = config
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def prepare(self) -> None:
        """Make the storage key on first start. Raises `Misconfigured`."""
        self._vault.prepare(in_use=sum(self.count_keys().values()) > 0)

    def count_keys(self) -> Mapping[KeyState, int]:
        """Return how many keys each pool holds."""
        return self._store.count_keys()

    def refill(self) -> int:
        """Fill the standby pool up when it is below its minimum; return how many were made."""
        waiting = self.count_keys()[KeyState.STANDBY]
        if waiting >= self._config.standby_minimum:
            return 0
        wanted = self._config.standby_target - waiting
        for start in range(0, wanted, _BATCH):
            # Made outside of the transaction, and few in each: others write, too.
            made = [self._make() for _ in range(min(_BATCH, wanted - start))]
            with self._transactions.transaction():
                for key in made:
                    self._add(key)
        return wanted

    def assign(self, request_id: str, *, signing_key: bytes, actor: str) -> Assigned:
        """Give the request its key: always the same one, enveloped anew.

        Raises `Conflict` when the request had its key enveloped to another signing key, or the
        key is history; `Unavailable` when the storage key cannot be reached.
        """
        holder = hashlib.sha256(signing_key).hexdigest()
        key = self._store.find_by_request(request_id)
        if key is None:
            try:
                key = self._take(Assignment(request_id, holder, self._clock.now()), actor)
            except Conflict:
                # Asked twice at once: who gave up waiting for us asks again.
                key = self._store.find_by_request(request_id)
                if key is None:
                    raise
        if key.signing_key != holder:
            raise Conflict("the key of this request was made for another signing key")
        if key.state is not KeyState.IN_USE:
            raise Conflict("the key of this request is history: make a new request")
        self._audit.record(
            "escrow-key.enveloped",
            actor=actor,
            detail={"key": key.id, "request": request_id, "signing_key": holder},
        )
        private = self._vault.open(key.sealed, key_id=key.id, public_key=key.public_key)
        enveloped = encode_enveloped_key(envelop(private, recipient=signing_key))
        return Assigned(key.id, key.public_key, enveloped)

    def retire(self, request_id: str) -> None:
        """Move the key of a request to history, if it has one in use."""
        with self._transactions.transaction():
            if self._store.retire(request_id, at=self._clock.now()):
                self._audit.record(
                    "escrow-key.retired", actor=SYSTEM_ACTOR, detail={"request": request_id}
                )

    def _take(self, assignment: Assignment, actor: str) -> EscrowedKey:
        with self._transactions.transaction():
            taken = self._store.take_standby(assignment)
            if taken is None:
                # The pool is empty: nobody has to wait for the refill.
                self._add(self._make())
                taken = self._store.take_standby(assignment)
            if taken is None:
                raise Conflict("another request took the key at the same moment: try again")
            self._audit.record(
                "escrow-key.assigned",
                actor=actor,
                detail={"key": taken.id, "request": assignment.request_id},
            )
        return taken

    def _make(self) -> EscrowedKey:
        private, key_id = sm2.PrivateKey.generate(), secrets.token_hex(16)
        return EscrowedKey(
            id=key_id,
            state=KeyState.STANDBY,
            public_key=private.public_key,
            sealed=self._vault.seal(private, key_id=key_id),
            created_at=self._clock.now(),
        )

    def _add(self, key: EscrowedKey) -> None:
        self._store.add_key(key)
        fingerprint = hashlib.sha256(key.public_key).hexdigest()
        self._audit.record(
            "escrow-key.generated",
            actor=SYSTEM_ACTOR,
            detail={"key": key.id, "spki_fingerprint": fingerprint},
        )
