"""Connections of one socket are dealt out evenly, and nobody waits for who does not come."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from yinxin.dealing import Acceptor, Shares
from yinxin.roles.ca import serve_authority
from yinxin.roles.further import serve_further
from yinxin.siblings import Siblings


class Open(asyncio.Protocol):
    """A connection, as long as it is open."""

    def __init__(self, among: set[asyncio.Protocol]) -> None:
        self.among = among

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.among.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.among.discard(self)


class Process:
    """What stands for one of the processes: the same queue, by a descriptor of its own."""

    def __init__(self, sock: socket.socket, shares: Shares, place: int) -> None:
        self.connections: set[asyncio.Protocol] = set()
        self.sock = sock.dup()
        self.acceptor = Acceptor(
            self.sock,
            shares,
            place,
            tls=None,
            connections=self.connections,
            make=lambda: Open(self.connections),
        )


async def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not true():
        assert time.monotonic() < ends
        await asyncio.sleep(0.001)


async def _deal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        shares = Shares(3)
        # The third has not come yet.
        one, two = (Process(sock, shares, place) for place in range(2))
        for each in (one, two):
            each.acceptor.open()
        clients = []

        def held() -> list[int]:
            return [len(one.connections), len(two.connections)]

        async def connect(times: int) -> list[int]:
            before = sum(held())
            for number in range(1, times + 1):
                clients.append(socket.create_connection(sock.getsockname()))
                await until(lambda: sum(held()) == before + number)  # noqa: B023
            return held()

        assert await connect(10) == [5, 5]
        for gone in list(one.connections):
            gone.transport.close()
        await until(lambda: not one.connections)
        one.acceptor.note()
        assert await connect(5) == [5, 5]
        # One that has few and is asleep is not waited for.
        shares.note(2, 0)
        assert sum(await connect(6)) == 16
        for each in (one, two):
            each.acceptor.close()
            for left in list(each.connections):
                left.transport.close()
        await until(lambda: not one.connections and not two.connections)
        for client in (*clients, one.sock, two.sock):
            client.close()


def test_whoever_has_fewest_takes_the_next() -> None:
    asyncio.run(_deal())


def test_nobody_waits_for_what_a_killed_process_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the moment on in which the next one begins in its place, which may take long."""

    class Enough(Exception):
        pass

    def enough(*_: object) -> None:
        raise Enough

    monkeypatch.setattr(Siblings, "wait_to_begin", enough)
    monkeypatch.setattr("yinxin.roles.ca.open_ground", enough)
    both = (Shares(2), Shares(2))
    none: Any = None
    siblings = Siblings((none, none), None, both, (), (none, none), 0, ())
    monkeypatch.setattr(Siblings, "begun", True)
    for killed, other in ((0, 1), (1, 0)):
        for shares in both:
            shares.note(killed, 0)
            shares.note(other, 5)
            assert not shares.is_least(other)
        with pytest.raises(Enough):
            if killed:
                serve_further(none, none, siblings, killed)
            else:
                serve_authority(none, none, siblings)
        assert all(shares.is_least(other) for shares in both)
