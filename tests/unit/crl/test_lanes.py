"""Threads of one issuer: what is done is told once, in the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from core.errors import Unavailable
from crl.ocsp import lanes
from crl.ocsp.lanes import Lane
from tests.unit.crl.until import until


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("test")
    yield lane
    lane.close()


def run(act: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(60):
            await act()

    asyncio.run(within())


def fail() -> int:
    raise ValueError("no")


def test_what_is_returned_or_raised_is_told_later_and_in_the_loop(lane):
    async def act() -> None:
        told: asyncio.Queue[tuple[object, int]] = asyncio.Queue()

        def done(result: object) -> None:
            told.put_nowait((result, threading.get_ident()))

        assert lane.start(lambda: 7, done)
        assert lane.waiting == 1
        assert told.empty()
        assert await told.get() == (7, threading.get_ident())
        assert lane.start(fail, done)
        assert isinstance((await told.get())[0], ValueError)
        assert lane.waiting == 0

    run(act)


def test_who_waits_too_long_is_told_once_and_the_thread_is_counted_until_it_ends(lane, monkeypatch):
    monkeypatch.setattr(lanes, "_ANSWER_SECONDS", 0.001)

    async def act() -> None:
        release, told = threading.Event(), []
        assert lane.start(release.wait, told.append)
        await until(lambda: told)
        assert isinstance(told[0], Unavailable)
        assert lane.waiting == 1
        release.set()
        await until(lambda: not lane.waiting)
        assert len(told) == 1

    run(act)


def test_there_is_less_room_for_what_can_be_done_without(lane, monkeypatch):
    monkeypatch.setattr(lanes, "SPARE", 1)
    monkeypatch.setattr(lanes, "QUEUE", 2)

    async def act() -> None:
        release, told = threading.Event(), []
        started = [lane.start(release.wait, told.append, spare=spare) for spare in (True, True)]
        assert started == [True, False]
        started = [lane.start(release.wait, told.append) for _ in range(2)]
        assert started == [True, False]
        release.set()
        await until(lambda: not lane.waiting)
        assert told == [True, True]

    run(act)


def test_what_ends_after_the_loop_is_told_to_nobody(lane):
    release, ended = threading.Event(), threading.Event()

    def slow() -> None:
        release.wait(60)
        ended.set()

    async def act() -> None:
        lane.start(slow, lambda _: pytest.fail("nobody waits"))

    run(act)
    release.set()
    assert ended.wait(60)
