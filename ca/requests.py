"""Requests: as they are entered, reviewed, made or rejected; and their store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from ca.altnames import parse_alternative_name
from ca.contents import IssuanceRequest
from ca.operations import REPLACING, Operation
from ca.pickup_codes import Codes
from ca.reasons import RevocationReason
from ca.serials import SerialNumber, to_hex
from core.errors import Conflict


class RequestState(StrEnum):
    """Where a request is in its life. docs/requests.md draws how it gets there."""

    PENDING = "pending"
    """待审核"""
    REVIEWED = "reviewed"
    """待制证: another operator makes the certificate."""
    AWAITING_PICKUP = "awaiting-pickup"
    """待领取: the subscriber has two codes, and brings the key."""
    APPROVED = "approved"
    """Nobody is waited for; the act is being done, or a crash came between."""
    ISSUED = "issued"
    """已签发. Not stored: it follows from the certificate's row."""
    DONE = "done"
    """已完成: what gives no certificate."""
    REJECTED = "rejected"
    """已拒绝"""


@dataclass(frozen=True, slots=True)
class Target:
    """The certificate that is acted upon, or replaced."""

    issuer: str
    serial: SerialNumber

    @property
    def name(self) -> str:
        """``issuer/serial``."""
        return f"{self.issuer}/{to_hex(self.serial)}"


@dataclass(frozen=True, slots=True)
class EnrollmentRecord:
    """One request."""

    id: str
    """32 hex digits."""
    state: RequestState
    issuer: str
    profile: str
    content: str
    """What `content_of` made of the checked request."""
    needs_approval: bool
    requester: str
    """Who entered it."""
    created_at: datetime
    decided_by: str | None = None
    """Who reviewed it."""
    decided_at: datetime | None = None
    comment: str | None = None
    issued_by: str | None = None
    """The generation of `issuer` whose certificate it became."""
    serial: SerialNumber | None = None
    """Of the certificate, once issued."""
    operation: Operation = Operation.APPLY
    needs_make: bool = False
    keyless: bool = False
    """The key comes later: at the make step, or from the subscriber at the pick-up."""
    made_by: str | None = None
    made_at: datetime | None = None
    organisation_id: str | None = None
    subject_id: str | None = None
    target: Target | None = None
    target_request: str | None = None
    """The request whose codes are sent again."""
    reason: RevocationReason | None = None
    """Why the target is revoked, where the operation revokes."""
    provisional: bool = False
    """Frozen first: the review says whether it stays so."""
    codes: Codes | None = field(default=None, repr=False, compare=False)
    """Of its pick-up; only in the answer to the step that made them."""
    follow_up: Operation | None = None
    """What is still to be done to the certificate that this one replaces."""
    owner: str | None = None
    """Id of the user who asked for it in the portal, for themselves."""

    @property
    def replaces(self) -> str | None:
        """Name the certificate in whose place this request gives one. There is one such request."""
        replacing = self.target is not None and self.operation in REPLACING
        return self.target.name if self.target is not None and replacing else None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds an idempotency key, and for what."""

    request_id: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class RequestPage:
    """One page of requests, newest first."""

    items: Sequence[EnrollmentRecord]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a request. It applies only when the request is in one of `expected`."""

    request_id: str
    expected: tuple[RequestState, ...]
    state: RequestState
    at: datetime
    abandoned_before: datetime | None = None
    """Also take over what has been APPROVED since before then: a crash left it."""
    decided_by: str | None = None
    comment: str | None = None
    made_by: str | None = None
    content: str | None = None
    """With the key that came later."""
    follow_up: Operation | None = None
    """What a rejection makes due."""


class RequestStore(Protocol):
    """Remembers requests. Every method joins the open transaction, or is durable on its own."""

    def claim(self, caller: str, key: str, wanted: Claim, *, now: datetime) -> Claim:
        """Take an idempotency key for `wanted`; return whose it is, ours or an earlier one."""
        ...

    def find_claim(self, caller: str, key: str) -> Claim | None: ...

    def add_requests(self, records: Sequence[EnrollmentRecord]) -> None:
        """Add several, all or none.

        Raises `Conflict` when a certificate is being replaced already; the caller's transaction
        ends with it.
        """
        ...

    def add_request(self, record: EnrollmentRecord) -> None:
        """Add one; as `add_requests`."""
        ...

    def find_request(self, request_id: str) -> EnrollmentRecord | None: ...

    def list_requests(
        self,
        *,
        state: RequestState | None = None,
        scope: frozenset[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> RequestPage:
        """Return one page, newest first. `scope`: tops of the subtrees to look in."""
        ...

    def list_of_owner(self, owner: str, *, limit: int) -> Sequence[EnrollmentRecord]:
        """Return what a user asked for in the portal, newest first."""
        ...

    def find_replacing(self, target: Target) -> EnrollmentRecord | None:
        """Return the request that gives a certificate in the place of this one, if any does."""
        ...

    def list_for_target(self, target: Target) -> Sequence[EnrollmentRecord]:
        """Return every request about a certificate, oldest first."""
        ...

    def list_due(self, *, limit: int) -> Sequence[EnrollmentRecord]:
        """Return what `ca.settlement.is_due`, oldest first."""
        ...

    def clear_follow_up(self, request_id: str) -> None: ...

    def move(self, move: Move) -> bool:
        """Apply a step. A compare-and-set: of many callers at once, one gets True."""
        ...

    def reopen(self, request_id: str, state: RequestState) -> None:
        """Move APPROVED back to `state`: the act failed, and said so."""
        ...


_ENCRYPTION: Final = ".encryption"


def encryption_request_id(request_id: str) -> str:
    """Return what the encryption certificate of a pair carries where the signing one has its id."""
    return request_id + _ENCRYPTION


def is_encryption_request(request_id: str) -> bool:
    """Whether this is what the encryption certificate of a pair carries."""
    return request_id.endswith(_ENCRYPTION)


def partner_request_id(request_id: str) -> str:
    """Return the id that the other certificate carries, if there is a pair."""
    if is_encryption_request(request_id):
        return request_id.removesuffix(_ENCRYPTION)
    return encryption_request_id(request_id)


def content_of(request: IssuanceRequest) -> str:
    """Return the JSON that `request_of` reads back."""
    return _encode(
        {
            "spki": request.spki.hex(),
            "subject": [list(pair) for pair in request.subject],
            "alternative_names": [str(name) for name in request.alternative_names],
            "identity": [list(pair) for pair in request.identity],
            "validity_days": request.validity_days,
            **_optional(temporary_key=request.temporary_key),
        }
    )


# `json.dumps` makes a new encoder each time.
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


def _optional(**fields: bytes | None) -> dict[str, str]:
    return {name: value.hex() for name, value in fields.items() if value is not None}


def with_key(
    record: EnrollmentRecord, spki: bytes, temporary_key: bytes | None = None
) -> IssuanceRequest:
    """Return what was entered without a key, with it. Raises `Conflict` for a second key."""
    wanted = request_of(record)
    if wanted.spki not in (b"", spki):
        raise Conflict("the request has another key already: reject it and enter a new one")
    if wanted.spki and wanted.temporary_key != temporary_key:
        raise Conflict(
            "the request has this key with another temporary key: bring the same CSR again"
        )
    return replace(wanted, spki=spki, temporary_key=temporary_key)


def request_of(record: EnrollmentRecord) -> IssuanceRequest:
    """Return what the requester wanted, from the stored content."""
    content: dict[str, Any] = json.loads(record.content)
    return IssuanceRequest(
        spki=bytes.fromhex(content["spki"]),
        subject=tuple((short, value) for short, value in content["subject"]),
        requester=record.requester,
        alternative_names=tuple(parse_alternative_name(t) for t in content["alternative_names"]),
        identity=tuple((name, value) for name, value in content["identity"]),
        validity_days=content["validity_days"],
        temporary_key=bytes.fromhex(content.get("temporary_key", "")) or None,
        request_id=record.id,
        organisation_id=record.organisation_id,
        subject_id=record.subject_id,
    )
