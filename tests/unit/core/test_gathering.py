"""Group commit: one act for many callers, and each caller its own outcome."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import Conflict, Unavailable
from core.gathering import Gathering


def test_who_is_alone_is_served_at_once() -> None:
    calls = []

    def double(wanted):
        calls.append(list(wanted))
        return [2 * one for one in wanted]

    gathering = Gathering(double)
    assert [gathering.ask(1), gathering.ask(2)] == [2, 4]
    assert calls == [[1], [2]]


def test_who_comes_meanwhile_is_served_together_and_in_order() -> None:
    calls: list[list[int]] = []
    entered, go_on = threading.Event(), threading.Event()

    def slow(wanted):
        calls.append(list(wanted))
        if len(calls) == 1:
            entered.set()
            assert go_on.wait(10)
        return [Conflict("three") if one == 3 else -one for one in wanted]

    gathering = Gathering(slow, most=4)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(gathering.ask, 0)
        assert entered.wait(10)
        rest = []
        for number in range(1, 7):
            rest.append(pool.submit(gathering.ask, number))
            while len(gathering._waiting) < number:
                pass
        go_on.set()
        assert first.result(10) == 0
        for number, future in enumerate(rest, start=1):
            if number == 3:
                with pytest.raises(Conflict):
                    future.result(10)
            else:
                assert future.result(10) == -number
    assert calls == [[0], [1, 2, 3, 4], [5, 6]]


def test_what_the_act_raises_is_everybodys_and_the_next_are_served() -> None:
    fails = [True]

    def act(wanted):
        if fails.pop() if fails else False:
            raise Unavailable("away")
        return list(wanted)

    gathering = Gathering(act)
    with pytest.raises(Unavailable):
        gathering.ask(1)
    assert gathering.ask(2) == 2


def test_many_threads_each_get_their_own() -> None:
    gathering = Gathering(lambda wanted: [one + 1 for one in wanted], most=5)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(gathering.ask, range(500))) == list(range(1, 501))


def test_who_waits_for_a_leader_that_is_told_to_end_is_not_left_waiting() -> None:
    begun, company = threading.Event(), threading.Event()
    ends = [False, True]

    def act(wanted):
        if len(wanted) == 1 and not ends[0]:
            ends[0] = True
            begun.set()
            assert company.wait(10)
            return list(wanted)
        if ends.pop():
            raise KeyboardInterrupt
        return list(wanted)

    gathering = Gathering(act)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(gathering.ask, 0)
        assert begun.wait(10)
        rest = [pool.submit(gathering.ask, number) for number in (1, 2)]
        while len(gathering._waiting) < 2:
            pass
        company.set()
        assert first.result(10) == 0
        raised = {type(one.exception(10)) for one in rest}
    assert raised == {KeyboardInterrupt, Unavailable}
