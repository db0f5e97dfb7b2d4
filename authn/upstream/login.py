"""Logging in by another system: the sources, and what is counted on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from authn.attempts import Attempts
from authn.login import Throttle
from authn.store import User
from authn.upstream.config import LDAPSourceConfig
from authn.upstream.links import Claimed, Links
from authn.upstream.openid import OpenIDSource
from core.errors import Unauthenticated

WRONG: Final = "the name or the password is wrong"
"""Of every fault alike, a locked user included."""
_FACTOR: Final = "directory"


class Directory(Protocol):
    """An LDAP directory (`authn.upstream.directory`, which is imported only when there is one)."""

    @property
    def config(self) -> LDAPSourceConfig: ...

    def find(self, name: str) -> tuple[str, Claimed]: ...

    def require_password(self, dn: str, password: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Every source, by its name."""

    links: Links
    openid: Mapping[str, OpenIDSource]
    directories: Mapping[str, Directory]
    throttle: Throttle
    attempts: Attempts

    def by_directory(self, directory: Directory, name: str, password: str, *, address: str) -> User:
        """Return the user of a name and password of a directory.

        Raises `Throttled`, `Unauthenticated`, `Unavailable`.
        """
        claimed, known = self.prove(directory, name, password, address=address)
        if known is not None and known.disabled:
            raise Unauthenticated(WRONG)
        return self.links.admit(claimed, provision=directory.config.provision, address=address)

    def prove(
        self, directory: Directory, name: str, password: str, *, address: str
    ) -> tuple[Claimed, User | None]:
        """Return who has a name and password of a directory, and whose that identity is here.

        Counted by address, by name, and by user where one is tied: nobody guesses faster here than
        at the local password. Raises as `by_directory`.
        """
        source, known = directory.config.name, None
        counted = f"{source}:{name}"
        self.throttle.charge(address)
        self.throttle.charge(counted)
        try:
            dn, claimed = directory.find(name)
            known = self.links.find(claimed.source, claimed.subject)
            self._count(known)
            directory.require_password(dn, password)
        except Unauthenticated as error:
            if known is not None:
                raise self.attempts.failed(
                    known, _FACTOR, address=address, why=str(error)
                ) from error
            self.links.refused(source, why=str(error), address=address)
            raise
        if known is not None:
            self.attempts.forgive(known, _FACTOR)
        self.throttle.refund(counted)
        self.throttle.refund(address)
        return claimed, known

    def _count(self, known: User | None) -> None:
        # Not `Throttled`: that would say that the name is somebody's here.
        if known is not None and self.attempts.count(known, _FACTOR):
            raise Unauthenticated(WRONG)
