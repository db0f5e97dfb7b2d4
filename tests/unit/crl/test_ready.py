"""Answers ready to send: none is given that the status log speaks against."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from crl.ocsp import ready as module
from crl.ocsp.follow import StatusFollower
from crl.ocsp.ready import Ready, ReadyAnswers
from crl.ocsp.request import parse_request
from tests.fakes.clock import FakeClock
from tests.unit.crl.requests import cert_id, request
from tests.unit.crl.world import World


class Elapsed:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class MemoryStatusLog:
    """Changes are appended by the test; `asked` remembers from where they were read."""

    def __init__(self) -> None:
        self.changes: dict[str, list[int]] = {}
        self.asked: list[tuple[str, int]] = []
        self.broken = False

    def revocation_positions(self) -> dict[str, int]:
        if self.broken:
            raise OSError("away")
        return {issuer: len(serials) for issuer, serials in self.changes.items()}

    def list_changes(self, issuer: str, *, after: int, limit: int) -> list[tuple[int, int]]:
        self.asked.append((issuer, after))
        numbered = list(enumerate(self.changes[issuer], 1))
        return [change for change in numbered if change[0] > after][:limit]


@pytest.fixture
def elapsed() -> Elapsed:
    return Elapsed()


@pytest.fixture
def answers(elapsed: Elapsed) -> ReadyAnswers:
    made = ReadyAnswers(3, status_lag_seconds=1, elapsed=elapsed)
    made.confirm(elapsed())
    return made


@pytest.fixture
def status_log() -> MemoryStatusLog:
    return MemoryStatusLog()


@pytest.fixture
def follower(answers: ReadyAnswers, status_log: MemoryStatusLog) -> StatusFollower:
    return StatusFollower(["ec-issuing"], status_log=status_log, ready=answers)


def make(world: World, serial: int | None = None) -> tuple[bytes, Ready]:
    issued = world.issue("ec-issuing")
    issuer = world.issuers["ec-issuing"]
    asked = cert_id(issuer, issued.serial)
    parsed = parse_request(request(asked))
    answer = world.responder.answer_for(issuer, parsed)
    late = world.clock.now() + timedelta(seconds=60)
    return asked, Ready(issuer, serial or issued.serial, parsed, answer, b"", late, late)


def test_an_answer_is_given_between_its_making_and_its_end(world, answers, clock: FakeClock):
    asked, ready = make(world)
    assert answers.put(asked, ready, ticket=answers.ticket())
    assert answers.find(asked, clock.now()) is ready
    assert answers.find(asked, clock.now() - timedelta(seconds=1)) is None
    assert answers.find(asked, ready.answer.until - timedelta(seconds=1)) is ready
    assert answers.find(asked, ready.answer.until) is None
    assert answers.find(asked + b"\x00", clock.now()) is None


def test_an_answer_ends_with_the_certificate_it_is_about(world, clock: FakeClock):
    issued = world.issue("ec-issuing", days=1)
    clock.advance(hours=20)
    answer = world.responder.answer(request(cert_id(world.issuers["ec-issuing"], issued.serial)))
    record = world.store.find_status("ec-issuing", issued.serial)
    assert answer.until == record.not_after + timedelta(hours=1) < answer.next_update


def test_nothing_is_given_when_the_log_was_not_read_for_too_long(world, answers, elapsed, clock):
    asked, ready = make(world)
    answers.put(asked, ready, ticket=answers.ticket())
    elapsed.seconds += 1
    assert answers.find(asked, clock.now()) is ready
    elapsed.seconds += 0.1
    assert answers.find(asked, clock.now()) is None
    answers.confirm(elapsed())
    assert answers.find(asked, clock.now()) is ready
    answers.distrust()
    assert answers.find(asked, clock.now()) is None


def test_a_status_read_before_a_change_never_comes_back_after_it(world, answers, clock):
    asked, ready = make(world)
    ticket = answers.ticket()
    answers.forget("ec-issuing", {ready.serial})
    assert not answers.put(asked, ready, ticket=ticket)
    assert answers.find(asked, clock.now()) is None
    assert answers.put(asked, ready, ticket=answers.ticket())


def test_a_change_of_another_serial_or_issuer_takes_nothing_away(world, answers, clock):
    asked, ready = make(world)
    ticket = answers.ticket()
    answers.forget("ec-issuing", {ready.serial + 1})
    answers.forget("ec-root", {ready.serial})
    assert answers.put(asked, ready, ticket=ticket)
    answers.forget("ec-root", None)
    answers.forget("ec-issuing", {ready.serial + 1})
    assert answers.find(asked, clock.now()) is ready


def test_every_cert_id_of_a_serial_is_forgotten(world, answers, clock):
    asked, ready = make(world)
    issuer = world.issuers["ec-issuing"]
    other = cert_id(issuer, ready.serial, "sha256")
    for one in (asked, other):
        answers.put(one, replace(ready), ticket=answers.ticket())
    answers.forget("ec-issuing", {ready.serial})
    assert answers.find(asked, clock.now()) is None
    assert answers.find(other, clock.now()) is None


def test_what_is_not_remembered_one_by_one_is_remembered_for_all(
    world, answers, clock, monkeypatch
):
    monkeypatch.setattr(module, "_REMEMBERED_CHANGES", 2)
    asked, ready = make(world)
    ticket = answers.ticket()
    answers.forget("ec-issuing", {ready.serial})
    answers.forget("ec-issuing", {1, 2})
    assert not answers.put(asked, ready, ticket=ticket)
    assert answers.put(asked, ready, ticket=answers.ticket())


def test_the_answer_taken_in_longest_ago_makes_room(world, answers, clock):
    made = [make(world) for _ in range(4)]
    for asked, ready in (*made[:3], made[0], made[3]):
        answers.put(asked, ready, ticket=answers.ticket())
    given = [answers.find(asked, clock.now()) is not None for asked, _ in made]
    assert given == [True, False, True, True]


def test_making_anew_is_claimed_once_and_again_after_a_pause(world, clock):
    _, ready = make(world)
    assert not ready.claim_refresh(clock.now())
    due = clock.now() + timedelta(seconds=60)
    assert ready.claim_refresh(due)
    assert not ready.claim_refresh(due + timedelta(seconds=4))
    assert ready.claim_refresh(due + timedelta(seconds=5))


def test_the_follower_forgets_what_the_log_names(world, answers, follower, status_log, clock):
    asked, ready = make(world)
    status_log.changes["ec-issuing"] = [1, 2]
    follower.follow()
    assert status_log.asked == []
    answers.put(asked, ready, ticket=answers.ticket())
    status_log.changes["ec-issuing"] += [3]
    follower.follow()
    assert answers.find(asked, clock.now()) is ready
    status_log.changes["ec-issuing"] += [4, ready.serial]
    follower.follow()
    assert answers.find(asked, clock.now()) is None
    assert status_log.asked == [("ec-issuing", 2), ("ec-issuing", 3)]


def test_more_changes_than_are_read_at_once_forget_everything(
    world, answers, follower, status_log, clock
):
    follower.follow()
    asked, ready = make(world)
    ticket = answers.ticket()
    answers.put(asked, ready, ticket=ticket)
    status_log.changes["ec-issuing"] = list(range(1, 1002))
    follower.follow()
    assert answers.find(asked, clock.now()) is None
    assert not answers.put(asked, ready, ticket=ticket)


def test_an_older_database_forgets_everything_and_says_so(
    world, answers, follower, status_log, caplog
):
    status_log.changes["ec-issuing"] = [1, 2]
    follower.follow()
    asked, ready = make(world)
    answers.put(asked, ready, ticket=answers.ticket())
    status_log.changes["ec-issuing"] = [1]
    follower.follow()
    assert answers.find(asked, world.clock.now()) is None
    assert "went backwards" in caplog.text


def test_when_a_change_cannot_be_followed_nothing_is_given(
    world, answers, follower, status_log, clock
):
    follower.follow()
    asked, ready = make(world)
    answers.put(asked, ready, ticket=answers.ticket())
    status_log.broken = True
    with pytest.raises(OSError, match="away"):
        follower.after_change("ec-issuing")
    assert answers.find(asked, clock.now()) is None
    status_log.broken = False
    follower.follow()
    assert answers.find(asked, clock.now()) is ready
