"""Expiry notices, put together from the settings."""

from __future__ import annotations

from ca.notice_mail import DigestMail, HolderMail
from ca.notice_webhook import Webhook
from ca.notices import Channel, NoticeService, Sender
from ca.notices_config import NoticesConfig
from ca.sqlnotices import SQLNoticeStore
from core.clock import Clock
from core.db import Database


def assemble_notices(config: NoticesConfig, database: Database, *, clock: Clock) -> NoticeService:
    """Give the service a sender for each channel that the settings name."""
    senders: dict[Channel, Sender] = {}
    if config.mail.host is not None and config.mail.to_holders:
        senders[Channel.MAIL] = HolderMail(config.mail)
    if config.mail.host is not None and config.mail.digest_to:
        senders[Channel.DIGEST] = DigestMail(config.mail)
    if config.webhook.url is not None:
        senders[Channel.WEBHOOK] = Webhook(config.webhook, clock=clock)
    return NoticeService(
        SQLNoticeStore(database),
        senders,
        days=config.days,
        transactions=database,
        clock=clock,
    )
