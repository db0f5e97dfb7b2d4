"""Who a person is: how well their name was verified (实名等级), and the number of their card.

The number is sealed, because its holder may release it to an application, and digested under a key
beside that, so that nobody is two users. It is never a `sub`, a login name or part of a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final, Protocol

from authn.accounts import Directory
from authn.store import User
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import NotFound
from core.transaction import Transactions
from keystore.digests import KeyedDigests
from keystore.seal import Seal

IDENTITY_CARD: Final = "identity-card"


class RealName(IntEnum):
    """How well a name was verified (GB/T 40651: identity assurance)."""

    NONE = 0
    """Nobody looked."""
    STATED = 1
    """Name and number agree with the register."""
    VERIFIED = 2
    """The person was seen, by face or in a bank."""
    IN_PERSON = 3
    """Verified at a counter, with the document in hand."""


@dataclass(frozen=True, slots=True)
class Person:
    """What was verified about a user."""

    user_id: str
    real_name_level: RealName
    verified_at: datetime
    verified_by: str
    identity_type: str | None
    identity_digest: str | None
    identity_sealed: bytes | None


class PersonStore(Protocol):
    """Remembers people."""

    def put(self, person: Person) -> None:
        """Raises `Conflict` when the identity belongs to another user."""
        ...

    def find(self, user_id: str) -> Person | None: ...


class People:
    """Keeps what was verified, and releases an identity number where it was agreed to."""

    def __init__(
        self,
        store: PersonStore,
        directory: Directory,
        *,
        seal: Seal,
        digests: KeyedDigests,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._directory = directory
        self._seal = seal
        self._digests = digests
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def verify(
        self, user: User, level: RealName, *, identity_card: str | None, actor: str
    ) -> Person:
        """Say that somebody verified a person. Without a number, the one known before stays.

        Raises `Malformed` for a number that is none, `Conflict` for one of another user.
        """
        known = self._store.find(user.id)
        kind, digest, sealed = (
            (None, None, None)
            if known is None
            else (known.identity_type, known.identity_digest, known.identity_sealed)
        )
        if identity_card is not None:
            number = self._directory.check_identity_card(identity_card)
            kind, digest = IDENTITY_CARD, self._digests.digest(f"{IDENTITY_CARD}:{number}")
            sealed = self._seal.seal(number.encode(), about=_about(user))
        made = Person(user.id, level, self._clock.now(), actor, kind, digest, sealed)
        with self._transactions.transaction():
            self._store.put(made)
            detail: Detail = {
                "user": user.name,
                "level": int(level),
                "number": identity_card is not None,
            }
            self._audit.record("person.verified", actor=actor, detail=detail)
        return made

    def level_of(self, user: User) -> RealName:
        """Return how well the name of a user was verified."""
        known = self._store.find(user.id)
        return RealName.NONE if known is None else known.real_name_level

    def release(self, user: User, *, client_id: str) -> str:
        """Return the identity number for a client that its holder agreed to. Audited each time.

        Raises `NotFound` when none is known.
        """
        known = self._store.find(user.id)
        if known is None or known.identity_sealed is None:
            raise NotFound("no identity number is known")
        number = self._seal.open(known.identity_sealed, about=_about(user)).decode()
        detail = {"user": user.name, "client": client_id}
        self._audit.record("identity.released", actor=user.name, detail=detail)
        return number


def _about(user: User) -> str:
    return f"identity {user.id}"
