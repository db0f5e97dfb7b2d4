"""What a connection does with callers who do not speak, speak without end, or speak wrongly."""

from __future__ import annotations

import asyncio
import socket

import pytest

from core.http import Receive, Scope, Send
from yinxin import http1, server


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _talk(*said: bytes) -> bytes:
    """Say something, then nothing; return what came until the server closed the connection."""
    with socket.socket() as unused:
        running = server._Server(server.Listener(unused, _app, None))
    config = running.config
    config.load()
    running.servers = []
    listening = await asyncio.get_running_loop().create_server(
        lambda: config.http_protocol_class(
            config=config, server_state=running.server_state, app_state={}
        ),
        "127.0.0.1",
    )
    async with listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        for words in said:
            writer.write(words)
            await writer.drain()
        heard = bytearray()
        try:
            async with asyncio.timeout(5):
                while octets := await reader.read(1000):
                    heard += octets
        except ConnectionResetError:
            pass
        writer.close()
    return bytes(heard)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "HEAD_SECONDS", 0.05)


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_never_ends_is_not_waited_for(said: bytes) -> None:
    assert asyncio.run(_talk(said)) == b""


def test_a_second_head_on_the_same_connection_has_its_own_time() -> None:
    heard = asyncio.run(_talk(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET"))
    assert heard.startswith(b"HTTP/1.1 204")


def test_the_rest_of_a_body_that_was_refused_is_not_waited_for() -> None:
    heard = asyncio.run(_talk(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"1"))
    assert heard.startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + 20_000 * b"y",
        b"GET /" + 20_000 * b"y",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + 2_000 * b"A: bcdefg\r\n" + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET http:/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01",
    ],
)
def test_what_is_no_request_or_too_long_is_refused_and_not_guessed_at(said: bytes) -> None:
    heard = asyncio.run(_talk(said))
    assert heard.startswith(b"HTTP/1.1 400")
    assert heard.count(b"HTTP/1.1") == 1


def test_requests_that_come_together_are_answered_in_order() -> None:
    heard = asyncio.run(_talk(3 * b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert heard.count(b"HTTP/1.1 204") == 3
