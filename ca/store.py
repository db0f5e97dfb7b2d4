"""What the authority remembers, as protocols. `ca.sqlstore` implements them.

Every method joins the open transaction (`core.transaction`) or is durable on its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Event
from typing import NamedTuple, Protocol

from ca.issuer import Issued, Prepared, Reserved
from ca.reasons import RevocationReason
from ca.serials import SerialNumber
from keystore.algorithms import SignatureAlgorithm


class CertificateState(StrEnum):
    """Where a certificate is in its life."""

    RESERVED = "reserved"
    """The intent is durable; we may or may not have signed. Revocable, never `good`."""
    ISSUED = "issued"
    FAILED = "failed"
    """No certificate left this service; the serial is burned. Revocable, in case one exists."""
    HELD = "held"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """One certificate, or the intent to make one."""

    issuer: str
    """The issuer's name in this service, like ``rsa-issuing``."""
    serial: SerialNumber
    state: CertificateState
    profile: str
    subject: str
    """RFC 4514 text."""
    not_before: datetime
    not_after: datetime
    tbs: bytes
    der: bytes | None
    """None until issued."""
    fingerprint: str | None
    """SHA-256 over `der`, lowercase hex; None until issued."""
    spki_fingerprint: str
    """SHA-256 over the DER SubjectPublicKeyInfo, lowercase hex."""
    requester: str
    request_id: str | None
    reserved_at: datetime
    issued_at: datetime | None
    revoked_at: datetime | None
    reason: RevocationReason | None
    organisation_id: str | None = None
    """The branch it was issued under."""
    subject_id: str | None = None


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """The part that OCSP and certificate login need."""

    state: CertificateState
    not_after: datetime
    revoked_at: datetime | None
    reason: RevocationReason | None
    changed_at: datetime | None = None
    """When it was last revoked, held or released; None: never."""


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """One line of a CRL."""

    serial: SerialNumber
    revoked_at: datetime
    reason: RevocationReason


@dataclass(frozen=True, slots=True)
class Changed:
    """A certificate that was revoked, held or released, as it stands now."""

    position: int
    """Of the change; the certificate may have changed once more since."""
    serial: SerialNumber
    at: datetime
    """When the change was."""
    not_after: datetime
    entry: RevokedEntry | None
    """What a CRL says of it; None: it is neither revoked nor held."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and the cursor of the next one (None: the end)."""

    items: Sequence[CertificateRecord]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class CertificateQuery:
    """What to look for; None means any.

    A query with a bound on the expiry is answered soonest expiry first, every other one newest
    first.
    """

    issuer: str | None = None
    serial: int | None = None
    state: CertificateState | None = None
    profile: str | None = None
    text: str | None = None
    """Words of the subject (`ca.terms`): every one of them has to be there."""
    fingerprint: str | None = None
    """SHA-256 over the certificate, lowercase hex."""
    spki_fingerprint: str | None = None
    requester: str | None = None
    organisation_id: str | None = None
    subject_id: str | None = None
    expires_after: datetime | None = None
    expires_before: datetime | None = None
    scope: frozenset[str] | None = None
    """Tops of the subtrees of organisations to look in (`ca.rights.Rights.scope`)."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A revoke, hold or release. It applies only when the certificate is in one of `expected`."""

    issuer: str
    serial: int
    expected: tuple[CertificateState, ...]
    state: CertificateState
    revoked_at: datetime | None
    reason: RevocationReason | None
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class IssuerRecord:
    """What makes an issuer, without its signer."""

    name: str
    parent: str | None
    """None for a root."""
    key_ref: str
    signature_algorithm: SignatureAlgorithm
    certificate: bytes
    created_at: datetime
    succeeds: str | None = None
    """The issuing CA whose next generation this is."""
    takes_over_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outside:
    """Certificates around an issuer that are not ours."""

    above: tuple[bytes, ...] = ()
    """DER of the outside CAs above it, parent first, root last."""
    crosses: tuple[bytes, ...] = ()
    """DER of certificates of its key that outside CAs issued."""


class CertificateStore(Protocol):
    """Remembers every serial number before it is used, and what became of it."""

    def reserve_all(self, prepared: Sequence[Prepared], *, now: datetime) -> Sequence[Reserved]:
        """Make the intents to sign durable, all or none.

        Raises `Conflict` for a serial or request id in use; the caller's transaction ends with it.
        """
        ...

    def complete_all(self, issued: Sequence[Issued], *, now: datetime) -> bool:
        """Store certificates. False: a row is not RESERVED any more (done by another).

        Then some may be stored and some not: the caller rolls its transaction back.
        """
        ...

    def fail(self, issuer: str, serial: int) -> None:
        """Burn a reserved serial, and free its request id."""
        ...

    def find_certificate(self, issuer: str, serial: int) -> CertificateRecord | None: ...

    def find_by_request(self, request_id: str) -> CertificateRecord | None: ...

    def find_by_requests(self, request_ids: Sequence[str]) -> Mapping[str, CertificateRecord]:
        """Return the certificates of those requests that have one."""
        ...

    def find_by_fingerprint(self, fingerprint: str) -> CertificateRecord | None: ...

    def search_certificates(
        self,
        query: CertificateQuery,
        *,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> Page:
        """Return one page: by `sort`, ``issued`` or ``not_after``, with ``-`` the last first.

        None: a search by expiry by its end, every other one the newest first. Raises `Malformed`
        for another `sort`, a cursor that is not ours, or an empty text.
        """
        ...

    def list_reserved(self) -> Sequence[CertificateRecord]:
        """Return what is RESERVED and not yet marked as interrupted, oldest first."""
        ...

    def mark_interrupted(self, issuer: str, serial: int, *, now: datetime) -> None:
        """Note that somebody has been told about this reserved row."""
        ...

    def change_status(self, change: StatusChange) -> int | None:
        """Apply a change and append its event. Returns the event's position, None: not applied."""
        ...


class IssuerStore(Protocol):
    """Remembers the issuers of this service."""

    def add_issuer(self, record: IssuerRecord) -> None:
        """Raises `Conflict` for a name in use."""
        ...

    def renew_issuer(self, record: IssuerRecord, certificate: bytes) -> bool:
        """Put another certificate of the same key in place. False: `record` was not current."""
        ...

    def add_above(self, issuer: str, certificates: Sequence[bytes], *, now: datetime) -> None:
        """Remember the outside CAs above an issuer, parent first. Raises `Conflict`."""
        ...

    def add_cross_certificate(self, issuer: str, certificate: bytes, *, now: datetime) -> bool:
        """Remember what an outside CA certified of an issuer's key. False: it is there already."""
        ...

    def list_outside(self) -> Mapping[str, Outside]:
        """Return what outside CAs contributed, by issuer."""
        ...

    def find_issuer(self, name: str) -> IssuerRecord | None: ...

    def list_issuers(self) -> Sequence[IssuerRecord]:
        """Return all, parents before children."""
        ...


class StatusReader(Protocol):
    """Who can say what holds for one certificate."""

    def find_status(self, issuer: str, serial: int) -> CertificateStatus | None:
        """Return the status of a serial we reserved, or None if we never did."""
        ...


class StatusSource(StatusReader, Protocol):
    """What `crl` needs of the authority, and nothing more."""

    def list_changed(self, issuer: str, *, after: int, limit: int) -> Sequence[Changed]:
        """Return at most `limit` changes after this position, in order."""
        ...

    def revocation_position(self, issuer: str) -> int:
        """Return a number that grows with every revoke, hold and release of this issuer."""
        ...


class RevocationLog(Protocol):
    """The append-only log of revoke, hold and release, for who follows the changes of an issuer."""

    def revocation_positions(self) -> Mapping[str, int]:
        """Return `StatusSource.revocation_position` of every issuer that has one, in one query."""
        ...

    def list_changes(self, issuer: str, *, after: int, limit: int) -> Sequence[tuple[int, int]]:
        """Return (position, serial) of at most `limit` changes after this position, in order.

        Whoever has seen a position has seen every one before it.
        """
        ...


class StatusEntry(NamedTuple):
    """One entry of the status log: what holds for a certificate from this position on."""

    position: int
    mark: int
    """64 random bits, signed. A position with another mark is of another history."""
    issuer: str
    serial: str
    """40 lowercase hex digits."""
    state: str
    """A `CertificateState`: issued, held or revoked."""
    reason: str | None
    """A `RevocationReason` when it is held or revoked."""
    revoked_at: int | None
    """Seconds since 1970, as is `not_after`."""
    not_after: int
    changed_at: int | None
    """When it was revoked, held or released, by the database's clock; None: never."""


class StatusLog(Protocol):
    """The append-only log of issuing, revoking, holding and releasing, for who keeps a copy.

    Positions appear in the order of commits: who has seen one has seen every one before it.
    """

    def read_log(self, *, since: int, limit: int) -> Sequence[StatusEntry]:
        """Return at most `limit` entries from this position on, which is among them."""
        ...

    def version(self) -> int | None:
        """Return a number that is another one after each change; None: this cannot be told."""
        ...

    def wait(self, seconds: float, stop: Event) -> None:
        """Wait for so long, less when woken because something may have changed."""
        ...

    def find_last(self) -> StatusEntry | None:
        """Return the last entry."""
        ...

    def list_issuers(self) -> Sequence[str]:
        """Return the issuers that are in it."""
        ...

    def pack(self, after: int, through: int, numbers: Mapping[str, int]) -> bytes:
        """Return the entries behind `after` up to `through` (`ca.packedstatus`), in any order.

        `numbers`: of every issuer in it.
        """
        ...
