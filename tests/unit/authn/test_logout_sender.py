"""Delivering logout messages: lanes, pauses and giving up, with a fake network."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from authn.logout.config import LogoutConfig
from authn.logout.sender import LogoutSender
from authn.logout.sqlstore import SQLDeliveryQueue, SQLParticipationStore
from authn.logout.store import Channel, Participation
from core.errors import Refused, Unavailable
from core.outbound import Answer


class Network:
    """Answers by host; a host may hang until it is let go."""

    def __init__(self) -> None:
        self.answers = {}
        self.calls = []
        self.hang = threading.Event()
        self.most = Counter()
        self._now = Counter()
        self._lock = threading.Lock()

    def post_form(self, url, fields):
        host = url.split("/")[2]
        with self._lock:
            self.calls.append((host, dict(fields)))
            self._now[host] += 1
            self.most[host] = max(self.most[host], self._now[host])
        try:
            answer = self.answers.get(host, 200)
            if answer == "hang":
                self.hang.wait(10)
                raise Unavailable("too slow")
            if isinstance(answer, Exception):
                raise answer
            return Answer(answer, b"")
        finally:
            with self._lock:
                self._now[host] -= 1


class Plain:
    def form_of(self, delivery):
        return None if delivery.client_id == "removed" else {"logout_token": delivery.sid}


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def sender(sqlite_database, network, audit, clock):
    made = LogoutSender(
        SQLDeliveryQueue(sqlite_database),
        Plain(),
        network,
        config=LogoutConfig(parallel=8, parallel_per_application=4),
        transactions=sqlite_database,
        audit=audit,
        clock=clock,
    )
    yield made
    network.hang.set()
    made.stop()


@pytest.fixture
def end(sqlite_database, clock):
    store = SQLParticipationStore(sqlite_database)

    def do(*applications: str, sessions: int = 1, channel: Channel = Channel.OIDC) -> None:
        sids = [f"s{number}" for number in range(sessions)]
        for sid in sids:
            for name in applications:
                uri = f"https://{name}.cn/bc"
                store.take_part(Participation(sid, name, "", channel, "u", uri, None))
        store.close(sids, clock.now())

    return do


@pytest.fixture
def left(sqlite_database, clock):
    from datetime import timedelta

    queue = SQLDeliveryQueue(sqlite_database)
    far = timedelta(days=9)
    return lambda: queue.list_due(clock.now() + far, limit=999, busy=[])


def work(sender, until, *, turns=400):
    """Turn the sender's loop by hand until it is so."""
    for _ in range(turns):
        sender.run_once()
        if until():
            return
        threading.Event().wait(0.005)
    raise AssertionError("the sender did not get there")


def test_every_application_is_told_and_nothing_is_left(sender, network, end, left):
    end("oa", "hr", sessions=20)
    work(sender, lambda: not left())
    assert Counter(host for host, _ in network.calls) == {"oa.cn": 20, "hr.cn": 20}
    assert max(network.most.values()) <= 4


def test_one_that_hangs_holds_one_thread_and_delays_nobody(sender, network, end, left):
    network.answers["dead.cn"] = "hang"
    end("dead", "oa", sessions=30)
    work(sender, lambda: {one.client_id for one in left()} == {"dead"})
    assert network.most["dead.cn"] == 1


def test_one_turn_goes_past_whoever_has_much_to_be_told(sender, network, end):
    end("oa", sessions=50)
    end("hr", "tax")
    assert sender.run_once() == 3
    network.hang.set()


def test_one_that_does_not_answer_is_tried_after_growing_pauses(sender, network, end, left, clock):
    network.answers["dead.cn"] = Unavailable("refused")
    end("dead", sessions=3)
    for pause, calls in ((0, 1), (0.9, 1), (0.2, 2), (1.5, 2), (0.6, 3), (4, 4)):
        clock.advance(seconds=pause)
        for _ in range(20):
            sender.run_once()
            threading.Event().wait(0.002)
        assert len(network.calls) == calls, pause
    network.answers["dead.cn"] = 200
    clock.advance(seconds=300)
    work(sender, lambda: not left())


@pytest.mark.parametrize("answer", [400, 302, Refused("not in an allowed network")])
def test_one_message_that_is_refused_does_not_hold_up_the_next(sender, network, end, left, answer):
    network.answers["odd.cn"] = answer
    end("odd", sessions=5)
    work(sender, lambda: {one.attempts for one in left()} == {1})
    assert len(network.calls) == 5


def test_a_portal_that_speaks_cas_has_been_told_when_it_sends_us_to_log_in(
    sender, network, end, left
):
    """mod_auth_cas ends its session, and answers as to any request that brings no cookie."""
    network.answers |= {"portal.cn": 302, "odd.cn": 403}
    end("portal", "odd", channel=Channel.CAS)
    work(sender, lambda: {one.attempts for one in left()} == {1})
    assert {one.client_id for one in left()} == {"odd"}


def test_after_a_day_it_is_given_up_and_audited(sender, network, end, left, request):
    clock, audit = (request.getfixturevalue(name) for name in ("clock", "audit"))
    network.answers["dead.cn"] = Unavailable("refused")
    end("dead")
    clock.advance(hours=25)
    work(sender, lambda: not left())
    assert audit.actions == ["logout.abandoned"]


def test_an_application_that_was_removed_is_not_called(sender, network, end, left):
    end("removed")
    work(sender, lambda: not left())
    assert network.calls == []
