"""Requests for certificates, as they wait, are approved or rejected; and their store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from ca.altnames import parse_alternative_name
from ca.contents import IssuanceRequest
from ca.serials import SerialNumber


class RequestState(StrEnum):
    """Where a request is in its life."""

    PENDING = "pending"
    APPROVED = "approved"
    """Somebody decided; the certificate is being made, or a crash came between."""
    ISSUED = "issued"
    """Not stored: it follows from the certificate's row."""
    REJECTED = "rejected"


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
    created_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    comment: str | None = None
    serial: SerialNumber | None = None
    """Of the certificate, once issued."""


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


class RequestStore(Protocol):
    """Remembers requests. Every method joins the open transaction, or is durable on its own."""

    def claim(self, caller: str, key: str, wanted: Claim, *, now: datetime) -> Claim:
        """Take an idempotency key for `wanted`; return whose it is, ours or an earlier one."""
        ...

    def find_claim(self, caller: str, key: str) -> Claim | None: ...

    def add_request(self, record: EnrollmentRecord) -> None: ...

    def find_request(self, request_id: str) -> EnrollmentRecord | None: ...

    def list_requests(
        self, *, state: RequestState | None = None, cursor: str | None = None, limit: int = 100
    ) -> RequestPage: ...

    def decide(
        self,
        request_id: str,
        state: RequestState,
        *,
        by: str,
        comment: str | None,
        at: datetime,
        stale_before: datetime,
    ) -> bool:
        """Move PENDING to `state`, or take over an approval older than `stale_before`.

        A compare-and-set: of many callers at once, one gets True.
        """
        ...

    def reopen(self, request_id: str) -> None:
        """Move APPROVED back to PENDING: issuing failed, and said so."""
        ...


_ENCRYPTION: Final = ".encryption"


def encryption_request_id(request_id: str) -> str:
    """Return what the encryption certificate of a pair carries where the signing one has its id."""
    return request_id + _ENCRYPTION


def partner_request_id(request_id: str) -> str:
    """Return the id that the other certificate carries, if there is a pair."""
    if request_id.endswith(_ENCRYPTION):
        return request_id.removesuffix(_ENCRYPTION)
    return encryption_request_id(request_id)


def content_of(request: IssuanceRequest) -> str:
    """Return the JSON that `request_of` reads back."""
    return json.dumps(
        {
            "spki": request.spki.hex(),
            "subject": [list(pair) for pair in request.subject],
            "alternative_names": [str(name) for name in request.alternative_names],
            "identity": [list(pair) for pair in request.identity],
            "validity_days": request.validity_days,
        },
        ensure_ascii=False,
    )


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
        request_id=record.id,
    )
