"""Changing the storage key: escrowed keys go from the old one under the new one, some at a time.

The private keys stay sealed: what is taken out and put back is the symmetric key of each
(decisions/0184). The centre may be running, and what is killed in the middle goes on from there.
"""

from __future__ import annotations

from typing import Final

from core.audit import AuditLog
from core.transaction import Transactions
from keystore.escrow.store import EscrowStore
from keystore.escrow.vault import Vault

_AT_ONCE: Final = 50


class Resealing:
    """Moves keys under the storage key of the vault."""

    def __init__(
        self, store: EscrowStore, vault: Vault, *, transactions: Transactions, audit: AuditLog
    ) -> None:
        self._store = store
        self._vault = vault
        self._transactions = transactions
        self._audit = audit

    def left(self) -> int:
        """Return how many keys are under another storage key."""
        counted = sum(self._store.count_keys().values())
        return counted - self._store.count_under(self._vault.storage_key)

    def go_on(self, *, actor: str) -> int:
        """Reseal the next few, and return how many there were. Raises `BackendUnavailable`."""
        found = self._store.list_under_others(self._vault.storage_key, limit=_AT_ONCE)
        # Both storage keys may be on a device: asked outside of the transaction.
        made = [(key, self._vault.reseal(key.sealed, key_id=key.id)) for key in found]
        with self._transactions.transaction():
            for key, sealed in made:
                if self._store.reseal(key.id, before=key.sealed, after=sealed):
                    detail = {
                        "key": key.id,
                        "from": key.sealed.storage_key,
                        "to": sealed.storage_key,
                    }
                    self._audit.record("escrow-key.resealed", actor=actor, detail=detail)
        return len(made)
