"""Expiry notices: planned once for each certificate, threshold and channel; sent until it is done.

Planning reads certificates in the order of their expiry, from where it stopped, so that a run
costs what has become due since the last one. A notice that a crash interrupts while it is sent
goes out again, with the same id: told twice is better than not told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Final, Protocol

from ca.store import CertificateRecord
from core.clock import Clock
from core.errors import TrustError
from core.observe import NOTICES_SENT
from core.transaction import Transactions

log = logging.getLogger(__name__)

_PLANNED_AT_ONCE: Final = 200
_SENT_AT_ONCE: Final = 100
_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=6)


class NoticeState(StrEnum):
    """Where a notice is in its life."""

    WAITING = "waiting"
    SENT = "sent"
    DROPPED = "dropped"
    """Nobody to tell, or the certificate has ended before anybody could be told."""


class Channel(StrEnum):
    """How a notice goes out."""

    MAIL = "mail"
    """To the addresses in the certificate."""
    DIGEST = "digest"
    """To fixed addresses, several certificates in one mail."""
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice about one certificate."""

    id: int
    certificate: CertificateRecord
    days: int
    """The threshold that it was due at."""
    channel: Channel
    state: NoticeState
    attempts: int
    due_at: datetime
    """When it is tried next, or was tried last."""
    sent_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NoticePage:
    """One page of notices, newest first."""

    items: Sequence[Notice]
    next_cursor: str | None


class NobodyToTell(TrustError):
    """The certificate names no address for this channel."""


class Sender(Protocol):
    """One channel."""

    @property
    def batch(self) -> int:
        """How many notices go out in one message."""
        ...

    def send(self, notices: Sequence[Notice]) -> None:
        """Raises `Unavailable` to be asked again later, `NobodyToTell` to be asked no more."""
        ...


class NoticeStore(Protocol):
    """Remembers notices. Every method joins the open transaction, or is durable on its own."""

    def next_expiring(
        self, days: int, *, after: datetime, before: datetime, limit: int
    ) -> Sequence[tuple[int, CertificateRecord]]:
        """Return (id, certificate) of those issued that this threshold has not seen, in order."""
        ...

    def is_replaced(self, record: CertificateRecord) -> bool:
        """Whether its holder has a newer one: of the same subject and profile, ending later."""
        ...

    def plan(
        self,
        certificate_ids: Iterable[int],
        days: int,
        channels: Iterable[Channel],
        *,
        at: datetime,
    ) -> None: ...

    def mark_seen(self, days: int, *, not_after: datetime, certificate_id: int) -> None: ...

    def list_due(self, channel: Channel, *, at: datetime, limit: int) -> Sequence[Notice]: ...

    def finish(
        self, ids: Iterable[int], state: NoticeState, *, at: datetime, error: str | None = None
    ) -> None: ...

    def postpone(self, ids: Iterable[int], *, until: datetime, error: str) -> None: ...

    def list_notices(
        self,
        *,
        state: NoticeState | None,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
        sort: str | None = None,
    ) -> NoticePage: ...


class NoticeService:
    """Plans and sends."""

    def __init__(
        self,
        store: NoticeStore,
        senders: dict[Channel, Sender],
        *,
        days: tuple[int, ...],
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._store = store
        self._senders = senders
        self._days = tuple(sorted(days))
        self._transactions = transactions
        self._clock = clock

    def run(self) -> None:
        """Plan what has become due, then send what waits. Nothing to do without a channel."""
        if self._senders:
            self.plan_due()
            self.send_due()

    def plan_due(self) -> int:
        """Plan notices for certificates that came below a threshold; return for how many."""
        planned, nearer = 0, 0
        for days in self._days:
            planned += self._plan(days, nearer)
            nearer = days
        return planned

    def send_due(self) -> int:
        """Send what waits and is due; return how many were sent. A channel that fails waits."""
        sent = 0
        for channel, sender in self._senders.items():
            due = self._store.list_due(channel, at=self._clock.now(), limit=_SENT_AT_ONCE)
            for start in range(0, len(due), sender.batch):
                batch = due[start : start + sender.batch]
                if not self._send(sender, batch):
                    break
                sent += len(batch)
        return sent

    def list_notices(
        self,
        *,
        state: NoticeState | None = None,
        scope: frozenset[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> NoticePage:
        """Return one page, newest first, of certificates in `scope` (`ca.rights`)."""
        return self._store.list_notices(
            state=state, scope=scope, cursor=cursor, limit=limit, sort=sort
        )

    def _plan(self, days: int, nearer: int) -> int:
        """Plan for certificates that end in more than `nearer` and at most `days` days."""
        planned = 0
        while True:
            now = self._clock.now()
            found = self._store.next_expiring(
                days,
                after=now + timedelta(days=nearer),
                before=now + timedelta(days=days),
                limit=_PLANNED_AT_ONCE,
            )
            if not found:
                return planned
            due = [number for number, record in found if not self._store.is_replaced(record)]
            last, record = found[-1]
            with self._transactions.transaction():
                self._store.plan(due, days, self._senders, at=now)
                self._store.mark_seen(days, not_after=record.not_after, certificate_id=last)
            planned += len(due)

    def _send(self, sender: Sender, batch: Sequence[Notice]) -> bool:
        now = self._clock.now()
        ended = [one.id for one in batch if one.certificate.not_after <= now]
        if ended:
            self._store.finish(ended, NoticeState.DROPPED, at=now, error="it has expired")
        left = [one for one in batch if one.id not in ended]
        if not left:
            return True
        ids, channel = [one.id for one in left], left[0].channel
        try:
            sender.send(left)
        except NobodyToTell as error:
            self._store.finish(ids, NoticeState.DROPPED, at=now, error=str(error))
        except TrustError as error:
            NOTICES_SENT.labels(channel, "failed").inc(len(ids))
            log.warning("notices could not be sent", extra={"channel": channel, "reason": error})
            for attempts, group in groupby(left, key=lambda one: one.attempts):
                pause = min(_FIRST_PAUSE * 2 ** min(attempts, 20), _LONGEST_PAUSE)
                waiting = [one.id for one in group]
                self._store.postpone(waiting, until=now + pause, error=str(error)[:200])
            return False
        else:
            NOTICES_SENT.labels(channel, "sent").inc(len(ids))
            self._store.finish(ids, NoticeState.SENT, at=now)
        return True
