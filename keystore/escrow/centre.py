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
from core.errors import Conflict, NotFound, Refused
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from keystore import softkey
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import ESCROWED, Dialect
from keystore.escrow.config import KeyManagementConfig
from keystore.escrow.envelopes import (
    EnvelopeOrder,
    check_recipient,
    ordered_envelope,
    require_possible,
    standard_envelope,
)
from keystore.escrow.identity import Identity, IdentityKeys
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
    """To the holder: DER SM2EnvelopedKey, or CMS EnvelopedData (RFC 5652) of an RSA key."""


class KeyManagementCentre:
    """Makes encryption keys ahead, hands each to one request, and never forgets one."""

    def __init__(
        self,
        store: EscrowStore,
        vault: Vault,
        identity: IdentityKeys,
        *,
        config: KeyManagementConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._vault = vault
        self._identity = identity
        self._config = config
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def prepare(self) -> None:
        """Make the storage key on first start. Raises `Misconfigured`."""
        self._vault.prepare(in_use=self._store.count_under(self._vault.storage_key) > 0)

    def count_keys(self, algorithm: KeyAlgorithm | None = None) -> Mapping[KeyState, int]:
        """Return how many keys each pool holds, of one algorithm or of all."""
        return self._store.count_keys(algorithm)

    def refill(self) -> int:
        """Fill each standby pool up that is below its minimum; return how many were made."""
        return sum(self._refill(algorithm) for algorithm in ESCROWED)

    def assign(
        self, request_id: str, *, algorithm: KeyAlgorithm, signing_key: bytes, actor: str
    ) -> Assigned:
        """Give the request its key: always the same one, enveloped anew.

        `signing_key`: the holder's SubjectPublicKeyInfo, or the temporary one of a double request.

        Raises `Conflict` when the request had its key enveloped to another signing key, or the
        key is history; `Refused` for an algorithm we do not keep, or that does not fit the
        signing key; `Unavailable` when the storage key cannot be reached.
        """
        if algorithm not in ESCROWED:
            raise Refused(f"encryption keys are {', '.join(ESCROWED)} here, and not {algorithm}")
        check_recipient(algorithm, signing_key)
        holder = hashlib.sha256(signing_key).hexdigest()
        key = self._store.find_by_request(request_id)
        if key is None:
            wanted = Assignment(request_id, algorithm, holder, self._clock.now())
            try:
                key = self._take(wanted, actor)
            except Conflict:
                # Asked twice at once: who gave up waiting for us asks again.
                key = self._store.find_by_request(request_id)
                if key is None:
                    raise
        self._require_held(key, holder)
        self._record_envelope(key, actor, None)
        return Assigned(
            key.id, key.public_key, standard_envelope(self._open(key), recipient=signing_key)
        )

    def envelop(self, request_id: str, order: EnvelopeOrder, *, actor: str) -> bytes:
        """Envelop the key of a request in a dialect that the authority cannot write itself.

        A PKCS#12 file is given once. Raises `NotFound`, `Refused`, `Conflict` as `assign` does and
        for a second PKCS#12 file, `Malformed` for a password that will not do, `Unavailable`.
        """
        key = self._store.find_by_request(request_id)
        if key is None:
            raise NotFound(f"the key management centre holds no key of request {request_id}")
        require_possible(key.algorithm, order.dialect)
        self._require_held(key, hashlib.sha256(order.recipient).hexdigest())
        sender = password = None
        if order.dialect is Dialect.SIGNED_AND_ENVELOPED:
            sender = self._identity.sender()
        if order.dialect is Dialect.PKCS12 and order.sealed_password is not None:
            password = self._identity.open_password(order.sealed_password, request_id=request_id)
        # Made before the transaction, because a password takes time; nobody has it before its end.
        made = ordered_envelope(self._open(key), order, sender=sender, password=password)
        with self._transactions.transaction():
            if order.dialect is Dialect.PKCS12 and not self._store.mark_delivered(
                key.id, at=self._clock.now()
            ):
                raise Conflict("this key was handed over in a PKCS#12 file already: recover it")
            self._record_envelope(key, actor, order.dialect)
        return made

    def identity(self) -> Identity:
        """Return what envelopes are signed with, and what passwords are sealed to."""
        return self._identity.show()

    def retire(self, request_id: str) -> None:
        """Move the key of a request to history, if it has one in use."""
        with self._transactions.transaction():
            if self._store.retire(request_id, at=self._clock.now()):
                self._audit.record(
                    "escrow-key.retired", actor=SYSTEM_ACTOR, detail={"request": request_id}
                )

    def _refill(self, algorithm: KeyAlgorithm) -> int:
        counted = self._store.count_keys(algorithm)
        minimum, target = self._config.standby_of(algorithm)
        waiting = counted[KeyState.STANDBY]
        # RSA keys are made ahead where they are used: after the first one was asked for.
        unused = algorithm is not KeyAlgorithm.SM2 and sum(counted.values()) == 0
        if waiting >= minimum or unused:
            return 0
        wanted = target - waiting
        for start in range(0, wanted, _BATCH):
            # Made outside of the transaction, and few in each: others write, too.
            made = [self._make(algorithm) for _ in range(min(_BATCH, wanted - start))]
            with self._transactions.transaction():
                for key in made:
                    self._add(key)
        return wanted

    def _require_held(self, key: EscrowedKey, holder: str) -> None:
        if key.signing_key != holder:
            raise Conflict("the key of this request was made for another signing key")
        if key.state is not KeyState.IN_USE:
            raise Conflict("the key of this request is history: make a new request")

    def _open(self, key: EscrowedKey) -> softkey.SoftKey:
        return self._vault.open(
            key.sealed, key_id=key.id, algorithm=key.algorithm, public_key=key.public_key
        )

    def _record_envelope(self, key: EscrowedKey, actor: str, dialect: Dialect | None) -> None:
        detail = {"key": key.id, "request": key.request_id, "signing_key": key.signing_key}
        if dialect is not None:
            detail["dialect"] = dialect
        self._audit.record("escrow-key.enveloped", actor=actor, detail=detail)

    def _take(self, assignment: Assignment, actor: str) -> EscrowedKey:
        with self._transactions.transaction():
            taken = self._store.take_standby(assignment)
            if taken is None:
                # The pool is empty: nobody has to wait for the refill.
                self._add(self._make(assignment.algorithm))
                taken = self._store.take_standby(assignment)
            if taken is None:
                raise Conflict("another request took the key at the same moment: try again")
            self._audit.record(
                "escrow-key.assigned",
                actor=actor,
                detail={"key": taken.id, "request": assignment.request_id},
            )
        return taken

    def _make(self, algorithm: KeyAlgorithm) -> EscrowedKey:
        private, key_id = softkey.generate(algorithm), secrets.token_hex(16)
        return EscrowedKey(
            id=key_id,
            state=KeyState.STANDBY,
            algorithm=algorithm,
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
            detail={
                "key": key.id,
                "algorithm": key.algorithm,
                "spki_fingerprint": fingerprint,
            },
        )
