"""Following the log of revocations to the sessions that stand on certificates."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from authn.levels import SessionCertificate
from crl.status import Status
from yinxin.revoked_sessions import RevokedSessions

ISSUER = "sm2-issuing"


class Log:
    def __init__(self) -> None:
        self.changes: list[int] = []

    def revocation_positions(self):
        return {ISSUER: len(self.changes)} if self.changes else {}

    def list_changes(self, _issuer, *, after, limit):
        listed = list(enumerate(self.changes, start=1))
        return [one for one in listed if one[0] > after][:limit]


class Sessions:
    def __init__(self, *serials: int) -> None:
        self.serials = set(serials)

    def list_certificates(self):
        return [SessionCertificate(ISSUER, f"{one:x}") for one in self.serials]

    def used_certificates(self, _issuer, serials):
        return [f"{one:x}" for one in self.serials if f"{one:x}" in serials]

    def end_of_certificates(self, _issuer, serials):
        gone = {one for one in self.serials if f"{one:x}" in serials}
        self.serials -= gone
        return len(gone)


class World:
    def __init__(self, *serials: int) -> None:
        self.log, self.sessions, self.bad = Log(), Sessions(*serials), set()
        self.looked_up: list[int] = []
        statuses = SimpleNamespace(standing=self.standing)
        self.follower = RevokedSessions(self.sessions, {}, statuses, revocation_log=self.log)

    def standing(self, _issuer, serial: int) -> SimpleNamespace:
        self.looked_up.append(serial)
        return SimpleNamespace(status=Status.REVOKED if serial in self.bad else Status.GOOD)

    def change(self, serial: int, *, bad: bool = True) -> None:
        (self.bad.add if bad else self.bad.discard)(serial)
        self.log.changes.append(serial)


@pytest.fixture
def world():
    made = World(1, 2, 3)
    made.follower.follow()
    return made


def test_a_revocation_ends_the_sessions_of_that_certificate_once(world):
    world.change(2)
    assert world.follower.follow() == 1
    assert world.follower.follow() == 0
    assert world.sessions.serials == {1, 3}


def test_what_was_released_meanwhile_ends_nothing(world):
    world.change(2)
    world.change(2, bad=False)
    assert world.follower.follow() == 0
    assert world.sessions.serials == {1, 2, 3}


def test_at_the_start_every_certificate_is_looked_at():
    made = World(1, 2)
    made.change(1)
    assert made.follower.follow() == 1
    assert made.sessions.serials == {2}


def test_more_changes_than_one_page_are_followed(world):
    for serial in range(100, 1700):
        world.change(serial)
    world.change(3)
    assert world.follower.follow() == 1


def test_what_no_session_stands_on_is_not_looked_up(world):
    for serial in (2, 7, 8, 9):
        world.change(serial)
    world.looked_up.clear()
    assert world.follower.follow() == 1
    assert world.looked_up == [2]


def test_a_log_that_went_back_is_a_new_start(world):
    world.change(9)
    world.follower.follow()
    world.log.changes.clear()
    world.bad.add(1)
    assert world.follower.follow() == 1
    assert world.sessions.serials == {2, 3}
