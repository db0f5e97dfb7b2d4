"""The keys that sign for the provider, as rows: made, announced, ended, destroyed.

Nothing here needs a private key: one that was lost is replaced like any other.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from authn.config import AuthnConfig
from authn.oidc.jwt import key_id
from authn.oidc.store import IDTokenAlgorithm
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import Conflict, NotFound, Refused, TrustError
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from keystore.backend import DestroysKeys, KeyBackend
from keystore.keyref import KeyRef

log = logging.getLogger(__name__)

_KINDS: Final[Mapping[IDTokenAlgorithm, KeyAlgorithm]] = {
    IDTokenAlgorithm.ES256: KeyAlgorithm.EC_P256,
    IDTokenAlgorithm.RS256: KeyAlgorithm.RSA_3072,
    IDTokenAlgorithm.SM2: KeyAlgorithm.SM2,
}
_MARGIN: Final = timedelta(hours=1)
"""A key is published so much longer than the last thing it signed can matter."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key, and its times."""

    ref: KeyRef
    algorithm: IDTokenAlgorithm
    created_at: datetime
    """Published from here on."""
    signs_from: datetime
    signs_until: datetime | None = None
    gone_at: datetime | None = None
    """Not published any more, and nothing that it signed is accepted."""
    destroyed_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """Return announced, signing, retiring or gone."""
        if self.gone_at is not None and now >= self.gone_at:
            return "gone"
        if self.signs_until is not None and now >= self.signs_until:
            return "retiring"
        return "signing" if now >= self.signs_from else "announced"


class SigningKeyStore(Protocol):
    """Remembers which keys there are. Every method joins the open transaction."""

    def add(self, key: SigningKey) -> None:
        """Raises `Conflict` when it is known."""
        ...

    def list_keys(self) -> Sequence[SigningKey]:
        """Return every key, oldest first."""
        ...

    def replace(self, known: SigningKey, changed: SigningKey) -> bool:
        """Compare and set; False when it was changed meanwhile."""
        ...


class KeyRotation:
    """Makes keys and ends them. Each node takes up what the rows say (`authn.oidc.keyring`)."""

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
        self._store = store
        self._keystore = keystore
        self._template = config.oidc.signing_key
        self._gm = config.gm.enabled
        self._announce = timedelta(minutes=config.oidc.key_announce_minutes)
        self._matters = max(
            timedelta(hours=config.login.session_hours),
            timedelta(minutes=config.oidc.id_token_minutes),
            timedelta(minutes=config.oidc.access_token_minutes),
        )
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def ensure_all(self) -> None:
        """Make the first key of every algorithm that has none."""
        for algorithm in _KINDS:
            if algorithm is not IDTokenAlgorithm.SM2 or self._gm:
                self._ensure(algorithm)

    def list_keys(self) -> Sequence[tuple[SigningKey, str, str]]:
        """Return every key with its `kid` and its state now."""
        now = self._clock.now()
        found = []
        for key in self._store.list_keys():
            info = None if key.destroyed_at is not None else self._keystore.find(key.ref)
            found.append((key, "" if info is None else key_id(info), key.state(now)))
        return found

    def rotate(self, algorithm: IDTokenAlgorithm, *, at_once: bool, actor: str) -> SigningKey:
        """Make a new key and announce it; it signs after the announcement.

        `at_once`, for a key that others may have: the new key signs now, and the old ones are gone,
        with everything they signed. Raises `Refused` while another key is announced (not at once).
        """
        if algorithm is IDTokenAlgorithm.SM2 and not self._gm:
            raise Refused("the issuer for Chinese algorithms is not on (authn.gm.enabled)")
        self._ensure(algorithm)
        now = self._clock.now()
        if not at_once and any(one.state(now) == "announced" for one in self._of(algorithm)):
            raise Refused(f"a key for {algorithm} is announced already: wait until it signs")
        made = SigningKey(
            # Generating may take long (RSA, a token): outside of the transaction.
            ref=self._generate(algorithm),
            algorithm=algorithm,
            created_at=now,
            signs_from=now if at_once else now + self._announce,
        )
        with self._transactions.transaction():
            self._store.add(made)
            for old in self._of(algorithm):
                if old.ref != made.ref and old.state(now) != "gone":
                    self._end(old, made, at_once=at_once, now=now)
            detail: Detail = {
                "key": made.ref,
                "algorithm": algorithm,
                "signs_from": made.signs_from.isoformat(),
                "at_once": at_once,
            }
            self._audit.record("signingkey.rotated", actor=actor, detail=detail)
        return made

    def destroy_gone(self) -> int:
        """Destroy keys that are gone, where the backend can. Returns how many."""
        now, count = self._clock.now(), 0
        for key in self._store.list_keys():
            if key.state(now) != "gone" or key.destroyed_at is not None:
                continue
            if not isinstance(self._keystore, DestroysKeys):
                continue
            with self._transactions.transaction():
                if not self._store.replace(key, replace(key, destroyed_at=now)):
                    continue
                detail = {"key": key.ref, "algorithm": key.algorithm}
                self._audit.record("signingkey.destroyed", actor=SYSTEM_ACTOR, detail=detail)
            try:
                self._keystore.destroy(key.ref)
                count += 1
            except (NotFound, Refused, TrustError):
                log.exception(
                    "a signing key that is gone was not destroyed", extra={"key": key.ref}
                )
        return count

    def _end(self, old: SigningKey, new: SigningKey, *, at_once: bool, now: datetime) -> None:
        until = new.signs_from if old.signs_until is None else min(old.signs_until, new.signs_from)
        gone = now if at_once else until + self._matters + _MARGIN
        changed = replace(old, signs_until=until, gone_at=min(gone, old.gone_at or gone))
        if not self._store.replace(old, changed):
            raise Conflict("the signing keys were rotated at the same moment: look again")

    def _ensure(self, algorithm: IDTokenAlgorithm) -> None:
        if self._of(algorithm):
            return
        now = self._clock.now()
        ref = self._name(algorithm, 1)
        if self._keystore.find(ref) is None:
            self._keystore.generate(ref, _KINDS[algorithm])
        try:
            self._store.add(SigningKey(ref, algorithm, now, now))
        except Conflict:
            log.info("another node made this signing key", extra={"key": ref})

    def _generate(self, algorithm: IDTokenAlgorithm) -> KeyRef:
        number = len(self._of(algorithm)) + 1
        while self._keystore.find(self._name(algorithm, number)) is not None:
            number += 1  # made by an attempt that did not come to its end
        return self._keystore.generate(self._name(algorithm, number), _KINDS[algorithm]).ref

    def _name(self, algorithm: IDTokenAlgorithm, number: int) -> KeyRef:
        word = "sm2" if algorithm is IDTokenAlgorithm.SM2 else algorithm.value.lower()
        return keyref.parse(self._template.format(name=f"oidc-{word}-{number}"))

    def _of(self, algorithm: IDTokenAlgorithm) -> list[SigningKey]:
        return [one for one in self._store.list_keys() if one.algorithm is algorithm]
