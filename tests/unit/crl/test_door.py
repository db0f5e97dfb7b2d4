"""Connections that end with their first answer are answered on the bare socket; others live on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from crl.ocsp import door as module
from crl.ocsp.door import Door


class Listener:
    """Knows one question."""

    def only_answer(self, data: bytes) -> bytes | None:
        return b"answer" if data == b"question" else None


class Kept(asyncio.Protocol):
    """A connection that became a transport."""

    def __init__(self, early: bytes) -> None:
        self.early = early
        self.made = asyncio.Event()
        self.transport: Any = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.made.set()


def taken(*said: bytes, leaves: bool = False) -> tuple[bytes, list[bytes]]:
    """Say something and knock; return what came back, and what was read of a kept connection."""
    kept: list[Kept] = []

    def make(early: bytes) -> Kept:
        kept.append(Kept(early))
        return kept[-1]

    async def knock() -> tuple[bytes, list[bytes]]:
        ours, theirs = socket.socketpair()
        with socket.socket() as unused, ours:
            for octets in said:
                ours.sendall(octets)
            if leaves:
                ours.shutdown(socket.SHUT_WR)
            door = Door(unused, Listener(), make)  # type: ignore[arg-type]
            door._family = socket.AF_UNIX
            door._take(socket.SocketType(socket.AF_UNIX, socket.SOCK_STREAM, 0, theirs.detach()))
            await asyncio.gather(*door._adopting)
            for one in kept:
                await one.made.wait()
                one.transport.close()
                await asyncio.sleep(0)
            ours.settimeout(5)
            return ours.recv(100), [one.early for one in kept]

    return asyncio.run(knock())


def test_a_question_that_ends_its_connection_becomes_no_transport():
    assert taken(b"question") == (b"answer", [])


def test_every_other_connection_lives_on_with_what_was_read_of_it():
    assert taken(b"something else") == (b"", [b"something else"])
    assert taken() == (b"", [b""])


def test_who_left_already_is_forgotten():
    assert taken(leaves=True) == (b"", [])


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

    # The request may come behind the connection: then it is kept, and nobody answers it.
    monkeypatch.setattr(Door, "_adopt", lambda _door, taken, _data: taken.close())
    assert failures == []
    assert asyncio.run(knock()) in {b"answer", b""}
    assert failures
