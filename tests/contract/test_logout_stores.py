"""What `authn.logout.store` promises, on every database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authn.logout.sqlstore import SQLDeliveryQueue, SQLParticipationStore
from authn.logout.store import Channel, Participation


def entered(sid="s1", client="oa", *, back="https://oa.example.cn/bc", front=None, ticket=""):
    return Participation(sid, client, ticket, Channel.OIDC, "zhang", back, front)


@pytest.fixture
def store(database):
    return SQLParticipationStore(database)


@pytest.fixture
def queue(database):
    return SQLDeliveryQueue(database)


def due(queue, clock, *, limit=99, busy=()):
    return list(queue.list_due(clock.now(), limit=limit, busy=busy))


def test_an_application_takes_part_once(store, run_together):
    run_together([lambda: store.take_part(entered())] * 4)
    store.take_part(entered(front="https://other.example.cn"))
    assert list(store.list_of_session("s1")) == [entered()]


def test_the_end_of_sessions_queues_each_back_channel_and_forgets(store, queue, clock):
    store.take_part(entered())
    store.take_part(entered(client="hr"))
    store.take_part(entered(client="old", back=None, front="https://old.example.cn/fc"))
    store.take_part(entered(sid="s2"))
    store.take_part(entered(sid="other"))
    assert store.close(["s1", "s2"], clock.now()) == 3
    assert store.close(["s1", "s2"], clock.now()) == 0
    assert {(one.sid, one.client_id) for one in due(queue, clock)} == {
        ("s1", "oa"),
        ("s1", "hr"),
        ("s2", "oa"),
    }
    assert [one.sid for one in store.list_of_session("other")] == ["other"]


def test_what_waited_longest_is_due_first_and_nothing_of_who_is_busy(store, queue, clock):
    store.take_part(entered(sid="s9", client="hr"))
    store.close(["s9"], clock.now() + timedelta(seconds=1))
    for number in range(5):
        store.take_part(entered(sid=f"s{number}"))
    store.close([f"s{number}" for number in range(5)], clock.now())
    clock.advance(seconds=1)
    assert [one.client_id for one in due(queue, clock)] == [*["oa"] * 5, "hr"]
    assert [one.client_id for one in due(queue, clock, busy=["oa"])] == ["hr"]
    assert len(due(queue, clock, limit=3)) == 3


def test_a_delivery_is_claimed_by_one_and_comes_back_if_that_one_dies(
    store, queue, clock, run_together
):
    store.take_part(entered())
    store.close(["s1"], clock.now())
    (one,) = due(queue, clock)
    later = clock.now() + timedelta(seconds=90)
    claims = run_together([lambda: queue.claim([one.id], clock.now(), later)] * 4)
    assert sorted(map(len, claims)) == [0, 0, 0, 1]
    assert due(queue, clock) == []
    clock.advance(seconds=90)
    assert [again.id for again in due(queue, clock)] == [one.id]


def test_attempts_are_counted_and_an_application_can_be_put_off_whole(store, queue, clock):
    for number in range(2):
        store.take_part(entered(sid=f"s{number}"))
    store.take_part(entered(sid="s0", client="hr"))
    store.close(["s0", "s1"], clock.now())
    first = next(one for one in due(queue, clock) if one.client_id == "oa")
    queue.postpone(first.id, clock.now() + timedelta(seconds=1), fault="it answered 503")
    queue.postpone_client("oa", clock.now() + timedelta(seconds=4))
    assert [one.client_id for one in due(queue, clock)] == ["hr"]
    clock.advance(seconds=4)
    assert {one.id: one.attempts for one in due(queue, clock)}[first.id] == 1
    queue.finish([one.id for one in due(queue, clock)])
    assert due(queue, clock) == []


def test_what_waits_is_summed_up_hurried_and_dropped_by_application(store, queue, clock):
    began = clock.now()
    for sid, client in (("s0", "oa"), ("s1", "oa"), ("s0", "hr")):
        store.take_part(entered(sid=sid, client=client))
    store.close(["s0", "s1"], began)
    later = began + timedelta(minutes=5)
    first = next(one for one in due(queue, clock) if one.client_id == "oa")
    queue.postpone(first.id, later, fault="it answered 503")
    queue.postpone_client("oa", later)
    hr, oa = queue.list_backlogs()
    assert (hr.client_id, hr.waiting, hr.failed, hr.attempts, hr.fault) == ("hr", 1, 0, 0, None)
    assert (oa.waiting, oa.failed, oa.attempts, oa.fault) == (2, 1, 1, "it answered 503")
    assert (oa.oldest, oa.next_at) == (began, later)
    assert queue.hurry("oa", began) == 2
    assert len(due(queue, clock)) == 3
    assert queue.hurry("oa", began) == 0
    assert queue.drop("oa") == 2
    assert [one.client_id for one in queue.list_backlogs()] == ["hr"]
    assert queue.drop("oa") == 0
