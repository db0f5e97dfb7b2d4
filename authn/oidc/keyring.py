"""The signing keys of the provider that a node publishes and uses, and how one replaces another.

A key is published before it signs, so that nobody meets a token whose key they cannot have, and
stays published after it has signed for the last time, until nothing that it signed is in use.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from typing_extensions import override

from authn.config import AuthnConfig
from authn.oidc.jwt import PublishedKey, SigningKeys
from authn.oidc.keyrotation import KeyRotation, SigningKey, SigningKeyStore
from authn.oidc.store import IDTokenAlgorithm
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Misconfigured, NotFound
from core.transaction import Transactions
from keystore.backend import KeyBackend
from keystore.keyref import KeyRef


class KeyRing(KeyRotation):
    """Keeps `keys` and `gm_keys` true by the clock."""

    def __init__(
        self,
        store: SigningKeyStore,
        keystore: KeyBackend,
        *,
        config: AuthnConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        """Load the keys; make those that are missing. Raises `Misconfigured` for a lost key."""
        super().__init__(
            store, keystore, config=config, transactions=transactions, audit=audit, clock=clock
        )
        self._lock = Lock()
        self._lent: dict[KeyRef, PublishedKey] = {}
        self.ensure_all()
        self.keys = SigningKeys(self._published(gm=False))
        self.gm_keys = SigningKeys(self._published(gm=True), gm=config.gm) if self._gm else None

    @override
    def rotate(self, algorithm: IDTokenAlgorithm, *, at_once: bool, actor: str) -> SigningKey:
        made = super().rotate(algorithm, at_once=at_once, actor=actor)
        self.refresh()
        return made

    def refresh(self) -> None:
        """Publish and use what the clock says now; every node does it for itself."""
        with self._lock:
            self.keys.replace(self._published(gm=False))
            if self.gm_keys is not None:
                self.gm_keys.replace(self._published(gm=True))

    def _published(self, *, gm: bool) -> list[PublishedKey]:
        """Return the keys to publish: those that sign, those that will, those that did."""
        now = self._clock.now()
        order = ("signing", "announced", "retiring")
        listed = [
            (order.index(state), key)
            for key in self._store.list_keys()
            if (state := key.state(now)) in order and (key.algorithm is IDTokenAlgorithm.SM2) is gm
        ]
        # Of two that sign the younger one does; the sort is stable.
        listed.sort(key=lambda item: (item[0], -item[1].signs_from.timestamp()))
        return [replace(self._lend(key), signs=place == 0) for place, key in listed]

    def _lend(self, key: SigningKey) -> PublishedKey:
        known = self._lent.get(key.ref)
        if known is None:
            try:
                signer = self._keystore.signer(key.ref)
            except NotFound as error:
                raise Misconfigured(
                    f"the signing key {key.ref} is not in the keystore: restore it, or replace it "
                    f"by `yinxin signing-key rotate --now --algorithm {key.algorithm}`"
                ) from error
            # Lent once: loading a private key costs more than signing with it.
            known = self._lent[key.ref] = PublishedKey(signer)
        return known
