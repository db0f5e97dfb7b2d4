"""Recovering an escrowed key: asked for by one, approved by several others, delivered once.

The private key leaves only inside an envelope to the recipient named when it was asked for.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import Conflict, Forbidden, NotFound
from core.transaction import Transactions
from keystore.escrow.config import KeyManagementConfig
from keystore.escrow.envelopes import check_recipient, standard_envelope
from keystore.escrow.store import (
    EscrowedKey,
    EscrowStore,
    KeyState,
    Recovery,
    RecoveryKind,
    RecoveryState,
    RecoveryStore,
)
from keystore.escrow.vault import Vault
from keystore.verify import normalise_spki

_S = RecoveryState


class RecoveryService:
    """Takes recoveries through their life."""

    def __init__(
        self,
        keys: EscrowStore,
        store: RecoveryStore,
        vault: Vault,
        *,
        config: KeyManagementConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._store = store
        self._vault = vault
        self._lifetime = timedelta(hours=config.recovery_hours)
        self._needed = config.recovery_approvals
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def request(
        self, kind: RecoveryKind, *, fingerprint: str, recipient: bytes, reason: str, actor: str
    ) -> Recovery:
        """Ask for the key with this SubjectPublicKeyInfo (SHA-256, hex), for `recipient`.

        Raises `NotFound` for a key that is nobody's, and `Malformed` for a bad recipient.
        """
        key = self._keys.find_by_fingerprint(fingerprint)
        if key is None or key.state is KeyState.STANDBY:
            raise NotFound("the key management centre holds no such key in use or history")
        recipient = normalise_spki(recipient)
        check_recipient(key.algorithm, recipient)
        now = self._clock.now()
        recovery = Recovery(
            id=secrets.token_hex(16),
            kind=kind,
            state=_S.REQUESTED,
            key_id=key.id,
            recipient=recipient,
            reason=reason,
            requester=actor,
            created_at=now,
            expires_at=now + self._lifetime,
        )
        with self._transactions.transaction():
            self._store.add_recovery(recovery)
            self._audit.record(
                "escrow-recovery.requested",
                actor=actor,
                detail={**_detail(recovery), "why": reason},
            )
        return recovery

    def approve(self, recovery_id: str, *, actor: str) -> Recovery:
        """Add one officer's approval; the last one needed makes it ready for delivery.

        Raises `Forbidden` for the requester, `Conflict` for a second approval of the same officer.
        """
        with self._transactions.transaction():
            recovery = self._live(recovery_id, _S.REQUESTED)
            if recovery.requester == actor:
                raise Forbidden("who asks for a recovery cannot approve it")
            self._store.add_approval(recovery_id, actor, at=self._clock.now())
            if len(recovery.approvers) + 1 >= self._needed:
                self._change(recovery, _S.APPROVED, actor)
            self._audit.record("escrow-recovery.approved", actor=actor, detail=_detail(recovery))
        return self.get(recovery_id)

    def reject(self, recovery_id: str, *, actor: str) -> Recovery:
        """End a recovery that is not delivered."""
        with self._transactions.transaction():
            recovery = self._live(recovery_id, _S.REQUESTED, _S.APPROVED)
            self._change(recovery, _S.REJECTED, actor)
            self._audit.record("escrow-recovery.rejected", actor=actor, detail=_detail(recovery))
        return self.get(recovery_id)

    def deliver(self, recovery_id: str, *, actor: str) -> bytes:
        """Return the envelope of `standard_envelope`, once, to who asked for it.

        What is lost after this returns is not delivered again: ask for a new recovery.
        """
        with self._transactions.transaction():
            recovery = self._live(recovery_id, _S.APPROVED)
            if recovery.requester != actor:
                raise Forbidden("a recovery is delivered to who asked for it")
            self._change(recovery, _S.DELIVERED, actor)
            key = self._key(recovery)
            private = self._vault.open(
                key.sealed, key_id=key.id, algorithm=key.algorithm, public_key=key.public_key
            )
            enveloped = standard_envelope(private, recipient=recovery.recipient)
            self._audit.record("escrow-recovery.delivered", actor=actor, detail=_detail(recovery))
        return enveloped

    def get(self, recovery_id: str) -> Recovery:
        """Raises `NotFound`."""
        return self._find(recovery_id, lock=False)

    def list_recoveries(
        self,
        *,
        limit: int = 100,
        state: RecoveryState | None = None,
        requester: str | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Recovery]:
        """Return the newest first, or as `sort` says, behind the one with the id `after`."""
        found = self._store.list_recoveries(
            now=self._clock.now(),
            limit=limit,
            state=state,
            requester=requester,
            sort=sort,
            after=after,
        )
        return [self._aged(one) for one in found]

    def list_of_key(self, fingerprint: str, *, limit: int = 100) -> Sequence[Recovery]:
        """Return every recovery of the key with this SubjectPublicKeyInfo, newest first.

        For its holder, and so the judicial ones too: nobody's key is taken unseen.
        """
        key = self._keys.find_by_fingerprint(fingerprint)
        if key is None:
            return ()
        return [self._aged(found) for found in self._store.list_of_key(key.id, limit=limit)]

    def _find(self, recovery_id: str, *, lock: bool) -> Recovery:
        found = self._store.find_recovery(recovery_id, lock=lock)
        if found is None:
            raise NotFound(f"there is no recovery {recovery_id}")
        return self._aged(found)

    def _aged(self, recovery: Recovery) -> Recovery:
        open_ = recovery.state in (_S.REQUESTED, _S.APPROVED)
        if open_ and self._clock.now() >= recovery.expires_at:
            return replace(recovery, state=_S.EXPIRED)
        return recovery

    def _live(self, recovery_id: str, *expected: RecoveryState) -> Recovery:
        recovery = self._find(recovery_id, lock=True)
        if recovery.state not in expected:
            raise Conflict(f"the recovery is {recovery.state}")
        return recovery

    def _change(self, recovery: Recovery, state: RecoveryState, actor: str) -> None:
        if not self._store.change_recovery(
            recovery.id, state, expected=(recovery.state,), at=self._clock.now(), by=actor
        ):
            raise Conflict("the recovery changed at the same moment: look again")

    def _key(self, recovery: Recovery) -> EscrowedKey:
        key = self._keys.find_key(recovery.key_id)
        if key is None:
            raise NotFound(f"there is no escrowed key {recovery.key_id}")
        return key


def _detail(recovery: Recovery) -> Detail:
    return {
        "recovery": recovery.id,
        "kind": recovery.kind,
        "key": recovery.key_id,
        "recipient": hashlib.sha256(recovery.recipient).hexdigest(),
    }
