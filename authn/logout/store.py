"""Which applications take part in a session, and whom we still have to tell that it ended.

`authn.logout.sqlstore` implements it. Every method joins the open transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.steps import Statements


class Channel(StrEnum):
    """How an application is told."""

    OIDC = "oidc"
    """OpenID Connect Back-Channel Logout 1.0: a signed logout token."""
    CAS = "cas"
    """CAS 3.0, 2.3.3: a SAML LogoutRequest with the service ticket."""


@dataclass(frozen=True, slots=True)
class Participation:
    """An application that was entered in a session, and how it wants to hear of the end."""

    sid: str
    client_id: str
    ticket: str
    """The service ticket (CAS); empty for OpenID Connect."""
    channel: Channel
    subject: str
    """How the application knows the person: the `sub` that it was told."""
    backchannel_uri: str | None
    frontchannel_uri: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that is to be delivered. At least once: the other side may see it twice."""

    id: int
    sid: str
    client_id: str
    ticket: str
    channel: Channel
    subject: str
    uri: str
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one application."""

    client_id: str
    waiting: int
    failed: int
    """Those that were tried before."""
    attempts: int
    """The most of one of them."""
    oldest: datetime
    next_at: datetime
    fault: str | None
    """Why an attempt failed, of one of them."""


class ParticipationStore(Protocol):
    """Who takes part in which session."""

    def take_part(self, participation: Participation) -> None:
        """Remember it; nothing changes when it is known already."""
        ...

    def to_take_part(self, participation: Participation) -> Statements:
        """Return what remembers it."""
        ...

    def list_of_session(self, sid: str) -> Sequence[Participation]: ...

    def close(self, sids: Sequence[str], now: datetime) -> int:
        """Queue a delivery for every back channel of these sessions, and forget who took part.

        Returns how many were queued.
        """
        ...


class DeliveryQueue(Protocol):
    """The deliveries. One that is claimed is due again later, should its node die."""

    def list_due(self, now: datetime, *, limit: int, busy: Collection[str]) -> Sequence[Delivery]:
        """Return what is due, that which has waited longest first; nothing of `busy`."""
        ...

    def claim(self, ids: Collection[int], now: datetime, until: datetime) -> frozenset[int]:
        """Put these off until then; returns those that nobody else claimed before."""
        ...

    def finish(self, ids: Collection[int]) -> None:
        """Remove what is delivered or given up."""
        ...

    def postpone(self, delivery_id: int, until: datetime, *, fault: str) -> None:
        """Count an attempt that failed, and try again then."""
        ...

    def postpone_client(self, client_id: str, until: datetime) -> None:
        """Try nothing at this application before then."""
        ...

    def list_backlogs(self) -> Sequence[Backlog]:
        """Return what waits, by application."""
        ...

    def hurry(self, client_id: str, now: datetime) -> int:
        """Make what was put off for this application due; returns how many. Claims end, too."""
        ...

    def drop(self, client_id: str) -> int:
        """Remove what waits for this application; returns how many."""
        ...
