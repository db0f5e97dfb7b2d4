"""What the desk of a registration authority remembers: acts, and their store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ca.operations import Operation
from ca.pickup_codes import Codes


class DeskState(StrEnum):
    """Where an act is."""

    PENDING = "pending"
    """待审核: waits for a reviewer here."""
    AWAITING_PICKUP = "awaiting-pickup"
    """待领取: reviewed; its subscriber has two codes, and brings the key."""
    SENT = "sent"
    """In the outbox: the certificate authority is to answer."""
    DONE = "done"
    REFUSED = "refused"
    """By the certificate authority; `comment` says why."""
    REJECTED = "rejected"
    """By a reviewer here; `comment` says why."""


@dataclass(frozen=True, slots=True)
class DeskRecord:
    """One act, from its entry on."""

    id: str
    state: DeskState
    operation: Operation
    profile: str | None
    """Of what is asked for, or acted upon; None where that is not known here."""
    organisation_id: str | None
    body: str
    """JSON: what the act will carry."""
    requester: str
    created_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    comment: str | None = None
    answered_at: datetime | None = None
    outcome: str | None = None
    """JSON of the answer."""
    issuer: str | None = None
    serial: str | None = None
    """Of the certificate that was given, or whose status changes. Lowercase hex."""
    keyless: bool = False
    """The key comes with a pick-up."""
    subject: str | None = None
    """Of what is asked for or acted upon, then of what was given; RFC 4514. None: not known."""
    not_after: datetime | None = None
    wanted: str | None = None
    """JSON of the format in which a subscriber wants the key of a pair, until it is answered."""
    envelope: str | None = None
    """JSON of that answer. What the key is sealed to is its subscriber's alone."""
    codes: Codes | None = field(default=None, repr=False, compare=False)
    """Of its pick-up; only in the answer to the step that made them."""


@dataclass(frozen=True, slots=True)
class DeskPage:
    """One page of acts, newest first."""

    items: Sequence[DeskRecord]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class DeskQuery:
    """Which acts. None: whatever it is."""

    state: DeskState | None = None
    operation: Operation | None = None
    subject: str | None = None
    """A part of it."""
    serial: str | None = None
    """Lowercase hex."""


@dataclass(frozen=True, slots=True)
class DeskCount:
    """So many acts."""

    organisation_id: str | None
    operation: Operation
    profile: str | None
    state: DeskState
    count: int


class DeskStore(Protocol):
    """Remembers acts for ever. Every method joins the open transaction, or is durable alone."""

    def add(self, record: DeskRecord) -> None:
        """Raises `Conflict` for an id in use."""
        ...

    def find(self, act_id: str) -> DeskRecord | None: ...

    def find_given(self, issuer: str, serial: str) -> DeskRecord | None:
        """Return the act that gave this certificate."""
        ...

    def find_all(self, act_ids: Sequence[str]) -> Mapping[str, DeskRecord]:
        """Return those of some acts that there are, by id."""
        ...

    def list_live(
        self, profile: str, subjects: Sequence[str], *, now: datetime
    ) -> Sequence[DeskRecord]:
        """Return acts that gave a certificate to one of these subjects, valid as far as known."""
        ...

    def list_acts(
        self,
        query: DeskQuery,
        *,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
        sort: str | None = None,
    ) -> DeskPage:
        """Return one page, newest first. `scope`: tops of the subtrees to look in."""
        ...

    def count(
        self, *, first: datetime, until: datetime, scope: frozenset[str] | None
    ) -> Sequence[DeskCount]:
        """Count what was entered from `first` on, before `until`."""
        ...

    def list_sent(self, *, limit: int) -> Sequence[DeskRecord]:
        """Return the outbox: changes of status in their order, then what gives certificates.

        Of these, first what was never answered or was answered longest ago.
        """
        ...

    def change(
        self, act_id: str, expected: DeskState, values: Mapping[str, str | datetime | None]
    ) -> bool:
        """Change an act that is `expected`. Of many callers at once, one gets True."""
        ...
