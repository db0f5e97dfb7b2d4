"""Simple questions are answered on the bare socket, of who stays too; others become transports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from typing_extensions import override

from crl.ocsp import door as module
from crl.ocsp.door import Door
from crl.ocsp.head import Head
from crl.ocsp.listener import Begun
from crl.ocsp.waiting import Pending
from tests.unit.crl.until import until

_LONG = bytes(1 << 24)
"""More than a socket takes at once."""


class Listener:
    """Knows some questions."""

    tick = 7
    room = 100

    def __init__(self) -> None:
        self.plane = self
        self.watched: set[Any] = set()
        self.one_moment = nullcontext
        self.sends: list[Callable[[bytes], None]] = []
        """Of those who wait for an answer that is made."""

    async def asked(self) -> Callable[[bytes], None]:
        """Wait until one more answer has to be made; give what sends it."""
        await until(lambda: self.sends)
        return self.sends.pop()

    def answer(self, data: bytes) -> tuple[bytes, bool] | None:
        if data == b"broken":
            raise RuntimeError("the store is broken")
        return {
            b"question": (b"answer", True),
            b"stay": (b"answer", False),
            b"long one": (_LONG, False),
            b"long one, the last": (_LONG, True),
        }.get(data)

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """What has to be made: the last octets say whether at once, and whether it ends then."""
        if not data.startswith(b"make"):
            return None
        return Head(
            None, 0, send_body=True, close=data.endswith(b"the last"), if_none_match=""
        ), data

    def respond(self, head: Head, body: bytes) -> bytes | Pending:
        return b"refused" if b"refused" in body else Pending(head, body, None, None, missing=False)

    def respond_later(self, pending: Pending, send: Callable[[bytes], None]) -> bytes | None:
        if b"at once" in pending.octets:
            return b"made"
        self.sends.append(send)
        return None

    def hear(self) -> None:
        """Nobody ticks."""

    def admit(self, connection: Any) -> bool:
        if len(self.watched) == self.room:
            return False
        self.watched.add(connection)
        return True

    def dismiss(self, connection: Any) -> None:
        self.watched.discard(connection)


class Kept(asyncio.Protocol):
    """A connection that became a transport."""

    def __init__(self, begun: Begun) -> None:
        self.begun = begun

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class Visit:
    """A client's end of a connection, and what became of the other."""

    def __init__(self) -> None:
        self.listener = Listener()
        self.kept: asyncio.Queue[Begun] = asyncio.Queue()
        self.ours, self._theirs = socket.socketpair()
        self.ours.setblocking(False)

    @contextmanager
    def door(self) -> Iterator[Door]:
        with socket.socket() as unused, self.ours:
            door = Door(unused, self.listener, self._make)  # type: ignore[arg-type]
            door._family = socket.AF_UNIX
            yield door
            if not door._room._closed:
                door.close()
            # Nothing is left open, nor watched over.
            assert self.listener.watched == set()

    def enter(self, door: Door) -> None:
        """Knock, and be let in."""
        said: list[Any] = []
        descriptor = self._theirs.detach()
        door._take(module.Guest(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor), said)
        if said:
            door._room.answer(said)

    async def heard(self) -> bytes:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(self.ours, 1000), 60)

    async def adopted(self) -> Begun:
        return await asyncio.wait_for(self.kept.get(), 60)

    def _make(self, begun: Begun) -> asyncio.Protocol:
        self.kept.put_nowait(begun)
        return Kept(begun)


def visit(act: Callable[[Visit, Door], Awaitable[None]]) -> None:
    async def run() -> None:
        one = Visit()
        with one.door() as door:
            await act(one, door)
            await asyncio.gather(*door._adopting)
            await asyncio.sleep(0)
            assert one.kept.empty()

    asyncio.run(run())


def test_a_question_that_ends_its_connection_is_answered_as_it_comes_in():
    async def act(one: Visit, door: Door) -> None:
        one.ours.send(b"question")
        one.enter(door)
        assert [await one.heard() for _ in range(2)] == [b"answer", b""]

    visit(act)


@pytest.mark.parametrize("early", [False, True])
def test_who_stays_is_answered_without_a_transport(early):
    async def act(one: Visit, door: Door) -> None:
        if early:
            one.ours.send(b"stay")
        one.enter(door)
        for number in range(3):
            if number or not early:
                one.ours.send(b"stay")
            assert await one.heard() == b"answer"
        (guest,) = one.listener.watched
        assert guest.since == Listener.tick
        one.ours.send(b"question")
        assert [await one.heard() for _ in range(2)] == [b"answer", b""]
        assert one.listener.watched == set()

    visit(act)


@pytest.mark.parametrize("words", [b"make at once, the last", b"make what is refused, the last"])
def test_what_is_made_at_once_needs_no_transport(words):
    async def act(one: Visit, door: Door) -> None:
        one.ours.send(words)
        one.enter(door)
        expected = b"refused" if b"refused" in words else b"made"
        assert [await one.heard() for _ in range(2)] == [expected, b""]

    visit(act)


def test_who_waits_for_an_answer_is_heard_again_when_it_is_out():
    async def act(one: Visit, door: Door) -> None:
        one.ours.send(b"make")
        one.enter(door)
        send = await one.listener.asked()
        # More octets, which wait as long, and are no reason to look again and again.
        one.ours.send(b"stay")
        (guest,) = one.listener.watched
        await until(lambda: guest.deaf)
        assert door._room._poll.poll(0) == []
        # Nor does it end, however long nothing is heard.
        guest.give_up()
        send(b"made")
        assert await one.heard() == b"made"
        assert await one.heard() == b"answer"
        one.ours.send(b"make the last")
        (await one.listener.asked())(b"made")
        assert [await one.heard() for _ in range(2)] == [b"made", b""]

    visit(act)


@pytest.mark.parametrize("more", [b"", b"stay"])
def test_who_leaves_while_an_answer_is_made_is_forgotten(more):
    async def act(one: Visit, door: Door) -> None:
        one.ours.send(b"make")
        one.enter(door)
        send = await one.listener.asked()
        if more:
            one.ours.send(more)
        one.ours.close()
        send(b"made")
        await until(lambda: not one.listener.watched)

    visit(act)


def test_a_door_that_closes_lets_out_the_answers_that_are_made():
    async def act(one: Visit, door: Door) -> None:
        one.ours.send(b"make")
        one.enter(door)
        send = await one.listener.asked()
        assert not door.waiting
        door.close()
        assert door.waiting
        send(b"made")
        assert not door.waiting
        assert [await one.heard() for _ in range(2)] == [b"made", b""]

    visit(act)


def test_of_a_long_answer_that_was_made_a_transport_sends_the_rest():
    async def act(one: Visit, door: Door) -> None:
        one.ours.send(b"make the last")
        one.enter(door)
        (await one.listener.asked())(_LONG)
        begun = await one.adopted()
        assert 0 < len(begun.unsent) < len(_LONG)
        assert begun.close

    visit(act)


@pytest.mark.parametrize("first", [b"", b"stay"])
def test_every_other_question_makes_it_a_transport_with_what_was_read(first):
    async def act(one: Visit, door: Door) -> None:
        if first:
            one.ours.send(first)
        one.enter(door)
        if first:
            assert await one.heard() == b"answer"
        one.ours.send(b"something else")
        assert await one.adopted() == Begun(b"something else")
        assert one.listener.watched == set()

    visit(act)


@pytest.mark.parametrize(("asked", "close"), [(b"long one", False), (b"long one, the last", True)])
def test_what_does_not_fit_into_the_socket_is_sent_by_a_transport(asked, close):
    async def act(one: Visit, door: Door) -> None:
        one.ours.send(asked)
        one.enter(door)
        begun = await one.adopted()
        assert 0 < len(begun.unsent) < len(_LONG)
        assert (begun.unread, begun.close) == (b"", close)

    visit(act)


@pytest.mark.parametrize("inside", [False, True])
def test_who_leaves_is_forgotten(inside):
    async def act(one: Visit, door: Door) -> None:
        if not inside:
            one.ours.shutdown(socket.SHUT_WR)
        one.enter(door)
        if inside:
            one.ours.shutdown(socket.SHUT_WR)
        assert await one.heard() == b""
        assert one.listener.watched == set()

    visit(act)


def test_who_says_nothing_for_too_long_has_to_go():
    async def act(one: Visit, door: Door) -> None:
        one.enter(door)
        (guest,) = one.listener.watched
        guest.give_up()
        assert await one.heard() == b""

    visit(act)


def test_when_there_are_too_many_it_is_closed(monkeypatch):
    monkeypatch.setattr(Listener, "room", 0)

    async def act(one: Visit, door: Door) -> None:
        one.enter(door)
        assert await one.heard() == b""

    visit(act)


def test_a_store_that_breaks_costs_the_connection_and_nothing_else(caplog):
    async def act(one: Visit, door: Door) -> None:
        one.enter(door)
        one.ours.send(b"broken")
        assert await one.heard() == b""
        assert one.listener.watched == set()

    visit(act)
    assert "unexpected error while OCSP was answered" in caplog.text


def test_without_a_descriptor_it_rests_and_goes_on(monkeypatch):
    monkeypatch.setattr(module, "_REST_SECONDS", 0.0)
    failures: list[Callable[[], object]] = []

    class Listening(socket.socket):
        def _accept(self) -> tuple[int, object]:
            if not failures:
                failures.append(self._accept)
                raise OSError(24, "Too many open files")
            return super()._accept()  # type: ignore[misc, no-any-return]

    async def knock() -> bytes:
        sock = Listening()
        sock.bind(("127.0.0.1", 0))
        door = Door(sock, Listener(), Kept)  # type: ignore[arg-type]
        door.open()
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writer.write(b"question")
        await writer.drain()
        heard = await reader.read()
        writer.close()
        await writer.wait_closed()
        door.close()
        return heard

    assert asyncio.run(knock()) == b"answer"
    assert failures
