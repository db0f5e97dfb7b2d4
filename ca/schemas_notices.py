"""Notices as their readers see them."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from ca.notices import Channel, Notice, NoticeState
from ca.schemas import CertificateReference
from ca.serials import to_hex


class NoticeView(BaseModel):
    """One notice about one certificate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int
    certificate: CertificateReference
    subject: str
    not_after: datetime
    days: int
    channel: Channel
    state: NoticeState
    attempts: int
    due_at: datetime
    sent_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, notice: Notice) -> Self:
        """Show a notice."""
        record = notice.certificate
        return cls(
            id=notice.id,
            certificate=CertificateReference(issuer=record.issuer, serial=to_hex(record.serial)),
            subject=record.subject,
            not_after=record.not_after,
            days=notice.days,
            channel=notice.channel,
            state=notice.state,
            attempts=notice.attempts,
            due_at=notice.due_at,
            sent_at=notice.sent_at,
            error=notice.error,
        )


class NoticeList(BaseModel):
    """One page of notices, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[NoticeView, ...]
    next_cursor: str | None
