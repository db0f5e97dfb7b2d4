"""What authentication remembers, as protocols. `authn.sqlstore` implements them.

Every method joins the open transaction (`core.transaction`) or is durable on its own. Secrets
arrive here as digests only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from authn.levels import Level, SessionCertificate, level_of
from core.identity import Role
from core.steps import Steps


@dataclass(frozen=True, slots=True)
class User:
    """One person who may log in."""

    id: str
    """A random UUID; the `sub` of OpenID Connect, never re-used."""
    name: str
    """What they type to log in; folded (`authn.users.fold_name`)."""
    display_name: str
    email: str | None
    role: Role | None
    """At most one: the lines of administration are separate (GM/T 0034)."""
    password_hash: str | None
    """PHC string; None until set up."""
    disabled: bool
    created_at: datetime
    phone: str | None = None
    """E.164, perhaps with an extension (OIDC Core, 5.1)."""
    address: str | None = None
    """As written on an envelope."""
    factor_due: bool = False
    """The second factor was lost and reset: no login is complete until another is enrolled."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser, logged in."""

    digest: bytes
    sid: str
    """The public name of the session, in ID tokens and the audit log."""
    user_id: str
    auth_time: datetime
    seen_at: datetime
    expires_at: datetime
    """The absolute end, whatever happens before."""
    amr: str
    """How they authenticated (RFC 8176): words, with spaces between."""
    acr: str
    least: str = Level.PASSWORD.acr
    """The `acr` below which the session is not complete: its person has a second factor."""
    account: str | None = None
    """The affiliation in whose name the person acts (`authn.accounts`); None: for themselves."""

    @property
    def level(self) -> Level:
        """How strongly they authenticated; an `acr` that we do not know counts as the weakest."""
        return level_of(self.acr) or Level.PASSWORD

    @property
    def is_complete(self) -> bool:
        """Whether it may be used, for anything but adding the second factor."""
        return self.level >= (level_of(self.least) or Level.HARDWARE_KEY)


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that was removed, and the name of its user."""

    sid: str
    user: str


@dataclass(frozen=True, slots=True)
class APIToken:
    """A token for programs of one administrator."""

    id: str
    digest: bytes
    user_id: str
    name: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Binding:
    """Whoever holds a certificate of `issuer` for this subject is this user."""

    id: str
    issuer: str
    """The issuer's name in this service."""
    subject_digest: bytes
    """SHA-256 over the DER Name."""
    user_id: str
    created_at: datetime
    key_digest: bytes | None
    """SHA-256 over the SubjectPublicKeyInfo; None: any key under that subject will do."""
    serial: str | None = None
    """Of the certificate that was shown for it, lowercase hex; None: made by an older release."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A nonce that one browser may answer once."""

    nonce: str
    browser: bytes
    """Digest of the cookie of the browser that asked."""
    expires_at: datetime


class UserStore(Protocol):
    """Users, their attempts and their setup links."""

    def add(self, user: User) -> None:
        """Raises `Conflict` when the name is taken."""
        ...

    def find(self, user_id: str) -> User | None: ...

    def find_by_name(self, name: str) -> User | None: ...

    def list_users(
        self,
        *,
        text: str = "",
        after: str = "",
        limit: int | None = None,
        sort: str | None = None,
    ) -> Sequence[User]: ...

    def set_password(self, user_id: str, password_hash: str) -> None:
        """Also forgets failed attempts."""
        ...

    def set_disabled(self, user_id: str, disabled: bool) -> None: ...

    def set_role(self, user_id: str, role: Role | None) -> None: ...

    def set_factor_due(self, user_id: str, due: bool) -> None: ...

    def set_contact(
        self, user_id: str, *, email: str | None, phone: str | None, address: str | None
    ) -> None: ...

    def charge_attempt(
        self, user_id: str, now: datetime, *, limit: int, locked_until: datetime
    ) -> bool:
        """Count an attempt before it is judged; the `limit`-th one locks. False: locked already.

        Counting first means that parallel guesses cannot exceed the limit.
        """
        ...

    def forgive_attempts(self, user_id: str) -> None:
        """Forget the attempts after a success."""
        ...

    def put_setup_link(self, digest: bytes, user_id: str, expires_at: datetime) -> None:
        """Remember a link; earlier ones of this user stop working."""
        ...

    def find_setup_link(self, digest: bytes, now: datetime) -> str | None:
        """Return whose link it is, while it can be used."""
        ...

    def use_setup_link(self, digest: bytes, now: datetime) -> bool:
        """Compare and set: True for exactly one caller, and only before the link expires."""
        ...


class AddressStore(Protocol):
    """How hard each source address has tried."""

    def charge(self, address: str, now: datetime, *, burst: int, seconds: int) -> int:
        """Count one attempt. Returns 0, or the seconds to wait when the burst is used up."""
        ...

    def refund(self, address: str, *, seconds: int) -> None:
        """Take one attempt back, because it succeeded."""
        ...


class SessionStore(Protocol):
    """Browser sessions."""

    def add(self, session: Session) -> None: ...

    def find(self, digest: bytes) -> Session | None: ...

    def find_with_owner(self, digest: bytes) -> tuple[Session, User | None] | None:
        """Return also whose it is, if there still is such a user."""
        ...

    def finding_with_owner(self, digest: bytes) -> Steps[tuple[Session, User | None] | None]:
        """Find it so, in steps."""
        ...

    def touch(self, digest: bytes, now: datetime) -> None: ...

    def touching(self, digest: bytes, now: datetime) -> Steps[None]:
        """Touch it, in steps."""
        ...

    def add_certificate(self, sid: str, certificate: SessionCertificate) -> None:
        """Let the session stand on this certificate too."""
        ...

    def move_certificates(self, sid: str, to: str) -> None:
        """Let another session stand on the certificates of this one."""
        ...

    def list_of_account(self, account: str) -> Sequence[str]: ...

    def list_live(
        self,
        now: datetime,
        idle_since: datetime,
        *,
        user_id: str | None,
        client_id: str | None = None,
        after: str | None,
        limit: int,
        sort: str | None = None,
    ) -> Sequence[Session]:
        """Return live sessions, those that end last first, behind the one called `after`.

        `client_id`: those in which this application was entered.
        """
        ...

    def list_of_application(self, client_id: str, *, limit: int) -> Sequence[str]:
        """Return the public names of sessions in which an application was entered."""
        ...

    def applications_of(self, sids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the applications that hold something of these sessions, by session."""
        ...

    def list_sessions(self, user_id: str) -> Sequence[Session]:
        """Return a person's sessions, the newest first."""
        ...

    def replace(self, digest: bytes, session: Session) -> bool:
        """Compare and set: False when it is not there under that digest any more."""
        ...

    def list_of_user(self, user_id: str) -> Sequence[str]:
        """Return the sids of a user's sessions."""
        ...

    def list_timed_out(self, now: datetime, idle_since: datetime, *, limit: int) -> Sequence[str]:
        """Return sids of sessions past their end, or not used after `idle_since`."""
        ...

    def list_by_certificates(
        self, issuer: str, serials: Collection[str] | None, *, limit: int
    ) -> Sequence[str]:
        """Return sids of sessions that stand on one of these; None: on any of the issuer."""
        ...

    def list_certificates(self) -> Sequence[SessionCertificate]:
        """Return every certificate that a session stands on, once."""
        ...

    def used_certificates(self, issuer: str, serials: Collection[str]) -> Sequence[str]:
        """Return those of `serials` on which a session stands, once."""
        ...

    def remove(self, sids: Sequence[str]) -> Sequence[EndedSession]:
        """Remove sessions; returns those that were there: each for exactly one caller."""
        ...


class APITokenStore(Protocol):
    """API tokens. What is revoked is removed; the audit log remembers it."""

    def add(self, token: APIToken) -> None: ...

    def find_with_owner(self, digest: bytes) -> tuple[APIToken, User] | None:
        """Return a token and whose it is; as they were at most `core.remembered.SECONDS` ago."""
        ...

    def recall_with_owner(self, digest: bytes) -> tuple[APIToken, User] | None:
        """Return the same if it was found a moment ago; None may mean anything. Never waits."""
        ...

    def list_of_user(self, user_id: str) -> Sequence[APIToken]: ...

    def remove(self, token_id: str, user_id: str) -> bool:
        """True if this user had it."""
        ...

    def remove_of_user(self, user_id: str) -> None:
        """Remove all tokens of a user."""
        ...


class CertificateLoginStore(Protocol):
    """Challenges, and whose certificates are whose."""

    def add_challenge(self, challenge: Challenge) -> None: ...

    def use_challenge(self, nonce: str, browser: bytes, now: datetime) -> bool:
        """Compare and set: True for exactly one caller, from the browser it was given to."""
        ...

    def add_binding(self, binding: Binding) -> None:
        """Raises `Conflict` when this subject is bound already."""
        ...

    def find_binding(self, issuer: str, subject_digest: bytes) -> Binding | None: ...

    def list_bindings(self) -> Sequence[Binding]: ...

    def list_bindings_of(self, user_id: str) -> Sequence[Binding]: ...

    def has_binding(self, user_id: str) -> bool: ...

    def remove_binding(self, binding_id: str) -> bool: ...
