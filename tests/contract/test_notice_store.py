"""Planning and remembering expiry notices, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.notices import Channel, NobodyToTell, Notice, NoticeService, NoticeState
from ca.sqlnotices import SQLNoticeStore
from ca.sqlstore import SQLCertificateStore
from core.db import Database
from core.errors import Malformed, Unavailable
from tests.contract.test_certificate_store import NOW, issue, revoke
from tests.fakes.clock import FakeClock


class Sender:
    """Remembers what it was told to send, and fails as it is told to."""

    batch = 2

    def __init__(self) -> None:
        self.sent: list[tuple[int, ...]] = []
        self.error: Exception | None = None

    def send(self, notices) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(tuple(one.certificate.serial & 0xFFFF for one in notices))


class Desk:
    def __init__(self, database: Database, *channels: Channel) -> None:
        self.certificates = SQLCertificateStore(database)
        self.store = SQLNoticeStore(database)
        self.clock = FakeClock(NOW)
        self.senders = {channel: Sender() for channel in channels or (Channel.DIGEST,)}
        self.service = NoticeService(
            self.store,
            self.senders,
            days=(30, 7, 1),
            transactions=database,
            clock=self.clock,
        )

    @property
    def sender(self) -> Sender:
        return next(iter(self.senders.values()))

    def issue(self, number: int, days: float, **changes) -> int:
        end = NOW + timedelta(days=days)
        return issue(self.certificates, number, not_after=end, **changes)

    def run(self, days: float = 0) -> list[tuple[int, ...]]:
        self.clock.advance(seconds=(NOW + timedelta(days=days) - self.clock.now()).total_seconds())
        before = len(self.sender.sent)
        self.service.run()
        return self.sender.sent[before:]

    def all(self) -> list[Notice]:
        return list(self.service.list_notices().items)


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_each_threshold_is_told_once(desk: Desk) -> None:
    desk.issue(1, 40)
    told = {day: sent for day in range(45) if (sent := desk.run(day))}
    assert told == {10: [(1,)], 33: [(1,)], 39: [(1,)]}
    assert [one.days for one in desk.all()] == [1, 7, 30]
    assert {one.state for one in desk.all()} == {NoticeState.SENT}


def test_who_starts_late_is_told_the_nearest_threshold_only(desk: Desk) -> None:
    desk.issue(1, 5)
    assert desk.run() == [(1,)]
    assert [one.days for one in desk.all()] == [7]


def test_two_that_end_at_once_and_a_later_one_between_runs_are_all_told(desk: Desk) -> None:
    desk.issue(1, 20)
    desk.issue(2, 20)
    assert desk.run() == [(1, 2)]
    desk.issue(3, 20)
    assert desk.run() == [(3,)]


def test_revoked_and_replaced_certificates_are_not_told(desk: Desk) -> None:
    desk.certificates.change_status(revoke(desk.issue(1, 20)))
    desk.issue(2, 20, subject="CN=renewed,O=x")
    desk.issue(3, 400, subject="CN=renewed,O=x")
    desk.issue(4, 20, subject="CN=renewed,O=x", profile="smime")
    desk.issue(5, 20, subject="CN=renewed")
    assert desk.run() == [(4, 5)]


def test_a_channel_that_fails_waits_longer_each_time_and_loses_nothing(desk: Desk) -> None:
    desk.issue(1, 6)
    desk.sender.error = Unavailable("the mail server is away")
    for minutes, attempts in ((0, 1), (0.5, 1), (1, 2), (2, 2), (3.5, 3)):
        desk.run(minutes / 1440)
        assert [(one.attempts, one.error) for one in desk.all()] == [
            (attempts, "the mail server is away")
        ]
    desk.sender.error = None
    assert desk.run(1) == [(1,)]
    assert [one.error for one in desk.all()] == [None]


def test_one_failing_channel_does_not_stop_another(database: Database) -> None:
    desk = Desk(database, Channel.MAIL, Channel.WEBHOOK)
    desk.issue(1, 6)
    desk.senders[Channel.MAIL].error = Unavailable("away")
    desk.run()
    assert desk.senders[Channel.WEBHOOK].sent == [(1,)]
    assert {one.channel: one.state for one in desk.all()} == {
        Channel.MAIL: NoticeState.WAITING,
        Channel.WEBHOOK: NoticeState.SENT,
    }


def test_who_has_no_address_is_dropped_and_so_is_what_ended_meanwhile(desk: Desk) -> None:
    desk.issue(1, 6)
    desk.sender.error = NobodyToTell("no address")
    desk.run()
    assert [(one.state, one.error) for one in desk.all()] == [(NoticeState.DROPPED, "no address")]
    desk.issue(2, 6.5)
    desk.sender.error = Unavailable("away")
    desk.run()
    desk.sender.error = None
    assert desk.run(7) == []
    assert desk.all()[0].error == "it has expired"


def test_without_a_channel_nothing_is_planned(database: Database) -> None:
    desk = Desk(database)
    desk.senders.clear()
    desk.issue(1, 6)
    desk.service.run()
    assert desk.all() == []


def test_lists_page_and_filter(desk: Desk) -> None:
    for number in range(5):
        desk.issue(number, 6 + number / 10)
    desk.run()
    page = desk.service.list_notices(limit=3)
    rest = desk.service.list_notices(limit=3, cursor=page.next_cursor)
    numbers = [one.certificate.serial & 0xFFFF for one in (*page.items, *rest.items)]
    assert (numbers, rest.next_cursor) == ([4, 3, 2, 1, 0], None)
    assert desk.service.list_notices(state=NoticeState.WAITING).items == ()
    assert desk.service.list_notices(scope=frozenset({"elsewhere"})).items == ()
    with pytest.raises(Malformed):
        desk.service.list_notices(cursor="x")
