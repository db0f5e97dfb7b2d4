"""What the older protocols remember, as protocols. `authn.legacy.sqlstore` implements them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ticket:
    """A right to enter one application, once and soon."""

    digest: bytes
    client_id: str
    address: str
    """The service (CAS), or the origin of an application behind a proxy."""
    user_id: str
    sid: str
    auth_time: datetime
    fresh: bool
    """The person showed their credentials for this very entry (CAS: ``renew``)."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Pass:
    """A browser that entered an application behind a proxy."""

    digest: bytes
    client_id: str
    user_id: str
    sid: str
    expires_at: datetime


class EntryStore(Protocol):
    """Tickets and passes."""

    def add_ticket(self, ticket: Ticket) -> bool:
        """False, and nothing is stored: the session that gave it has ended meanwhile."""
        ...

    def take_ticket(self, digest: bytes) -> Ticket | None:
        """Return a ticket and forget it: for exactly one caller."""
        ...

    def add_pass(self, entered: Pass) -> None: ...

    def find_pass(self, digest: bytes) -> tuple[Pass, datetime] | None:
        """Return a pass whose session is there, and when the session was last used."""
        ...

    def touch_session(self, sid: str, now: datetime) -> None:
        """Remember that the session is used now."""
        ...

    def remove_sessions(self, sids: Sequence[str]) -> None:
        """Forget what these sessions gave."""
        ...
