"""Registration authorities that run apart (RA), as their certificate authority knows them.

One is a key, a branch of the tree and a set of profiles. It is trusted for what its operators
entered and reviewed, within that branch and those profiles: its rights are rows like those of an
operator, under a name that no operator can have.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ca.operations import ISSUING, Operation
from ca.profiles import CertificateProfile
from ca.rights import Rights
from ca.rights_store import Grant, Step
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Forbidden, Malformed, NotFound
from core.transaction import Transactions

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_OPERATIONS: Final = frozenset(
    {*ISSUING, Operation.FREEZE, Operation.UNFREEZE, Operation.REVOKE, Operation.QUERY}
)


@dataclass(frozen=True, slots=True)
class Registrar:
    """One registration authority."""

    name: str
    key: str
    """SHA-256 of the SubjectPublicKeyInfo it shows, lowercase hex."""
    organisation: str
    """The top of its branch."""
    url: str | None
    """Where the authority fetches its acts; None: it brings them."""
    created_at: datetime

    @property
    def operator(self) -> str:
        """The name its rights are under: a colon is in no login name."""
        return f"ra:{self.name}"


class RegistrarStore(Protocol):
    """Remembers them. Every method joins the open transaction, or is durable on its own."""

    def add_registrar(self, registrar: Registrar) -> None:
        """Raises `Conflict` for a name or a key in use."""
        ...

    def remove_registrar(self, name: str) -> bool: ...

    def list_registrars(self) -> Sequence[Registrar]:
        """Return all, by name."""
        ...

    def find_by_key(self, key: str) -> Registrar | None: ...


class Registrars:
    """Registers and dismisses registration authorities."""

    def __init__(
        self,
        store: RegistrarStore,
        rights: Rights,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._rights = rights
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def add(
        self,
        name: str,
        *,
        key: str,
        organisation: str,
        profiles: Sequence[CertificateProfile],
        url: str | None,
        actor: str,
    ) -> Registrar:
        """Register one. Raises `Malformed`, `NotFound`, `Conflict`."""
        if _NAME.fullmatch(name) is None:
            raise Malformed("a registration authority's name is lowercase letters, digits, hyphens")
        if not profiles:
            raise Malformed("say which profiles it may ask for")
        registrar = Registrar(name, key, organisation, url, self._clock.now())
        named = frozenset(profile.name for profile in profiles)
        grant = Grant(named, _OPERATIONS, frozenset({Step.ENTRY, Step.REVIEW}))
        with self._transactions.transaction():
            self._rights.give_registrar(registrar.operator, organisation, grant, actor=actor)
            self._store.add_registrar(registrar)
            self._audit.record(
                "registrar.added",
                actor=actor,
                detail={"name": name, "key": key, "organisation": organisation, "url": url},
            )
        return registrar

    def remove(self, name: str, *, actor: str) -> None:
        """Accept nothing from it any more. Raises `NotFound`."""
        with self._transactions.transaction():
            if not self._store.remove_registrar(name):
                raise NotFound(f"there is no registration authority {name!r}")
            self._rights.take_registrar(f"ra:{name}", actor=actor)
            self._audit.record("registrar.removed", actor=actor, detail={"name": name})

    def list_registrars(self) -> Sequence[Registrar]:
        """Return all, by name."""
        return self._store.list_registrars()

    def require(self, key: str) -> Registrar:
        """Return whose key it is. Raises `Forbidden`."""
        found = self._store.find_by_key(key)
        if found is None:
            raise Forbidden(
                "the key of the certificate shown is no registration authority's here: "
                "`yinxin ra add` at the certificate authority"
            )
        return found
