"""What goes over the wire about the history of a certificate."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from ca.history import History, SentNotice, StatusEvent
from ca.reasons import RevocationReason
from ca.schemas import CertificateView, RequestView
from ca.store import CertificateState
from keystore.escrow.store import Recovery, RecoveryKind, RecoveryState


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StatusEventView(_Wire):
    """One revoke, hold or release."""

    state: CertificateState
    reason: RevocationReason | None
    at: datetime
    actor: str

    @classmethod
    def of(cls, event: StatusEvent) -> Self:
        """Show an event."""
        return cls(state=event.state, reason=event.reason, at=event.at, actor=event.actor)


class NoticeLine(_Wire):
    """One notice of expiry."""

    days: int
    channel: str
    state: str
    sent_at: datetime | None

    @classmethod
    def of(cls, notice: SentNotice) -> Self:
        """Show a notice."""
        return cls(
            days=notice.days,
            channel=notice.channel,
            state=notice.state,
            sent_at=notice.sent_at,
        )


class RecoveryLine(_Wire):
    """That and when a key was recovered."""

    id: str
    kind: RecoveryKind
    state: RecoveryState
    created_at: datetime
    delivered_at: datetime | None

    @classmethod
    def of(cls, recovery: Recovery) -> Self:
        """Show a recovery."""
        return cls(
            id=recovery.id,
            kind=recovery.kind,
            state=recovery.state,
            created_at=recovery.created_at,
            delivered_at=recovery.delivered_at,
        )


class HistoryView(_Wire):
    """Everything that is known about one certificate."""

    certificate: CertificateView
    partner: CertificateView | None
    """The encryption certificate of its pair."""
    request: RequestView | None
    """Who asked for it, who reviewed and who made it."""
    before: tuple[CertificateView, ...]
    """What it replaced, newest first."""
    after: tuple[CertificateView, ...]
    """What replaced it, oldest first."""
    requests: tuple[RequestView, ...]
    """Acts that were asked for on it, oldest first."""
    events: tuple[StatusEventView, ...]
    notices: tuple[NoticeLine, ...]
    recoveries: tuple[RecoveryLine, ...] | None
    """None: the key management centre cannot be reached."""

    @classmethod
    def of(cls, history: History) -> Self:
        """Show a history."""
        partner, request, recoveries = history.partner, history.request, history.recoveries
        return cls(
            certificate=CertificateView.of(history.certificate),
            partner=None if partner is None else CertificateView.of(partner),
            request=None if request is None else RequestView.of(request),
            before=tuple(CertificateView.of(one) for one in history.before),
            after=tuple(CertificateView.of(one) for one in history.after),
            requests=tuple(RequestView.of(one) for one in history.requests),
            events=tuple(StatusEventView.of(one) for one in history.events),
            notices=tuple(NoticeLine.of(one) for one in history.notices),
            recoveries=None
            if recoveries is None
            else tuple(RecoveryLine.of(one) for one in recoveries),
        )
