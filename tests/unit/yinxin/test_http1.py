"""What a connection answers by itself, and what it leaves to the application (`yinxin.http1`)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from uvicorn.server import ServerState

from core.http import BodyLimit, RequestId
from core.plain import PlainRoutes
from yinxin import http1, server

HEAD = b"POST /t HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Content-Length: 3\r\n\r\na=b"


async def application(scope, receive, send):
    body = (await receive())["body"]
    await Response(b"long:" + body)(scope, receive, send)


@asynccontextmanager
async def served(plain):
    """A connection to a server with one plain handler, and the server's side of it."""
    routes = PlainRoutes({(b"POST", b"/t"): plain, (b"GET", b"/t"): plain}, 100)
    app = RequestId(BodyLimit(application, octets=1000), routes)
    config = server._config(server.Listener(None, app))
    config.load()
    made = []

    def make():
        made.append(http1.HTTPConnection(config, ServerState(), app_state={}))
        return made[-1]

    listening = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    try:
        yield reader, writer, made
    finally:
        writer.close()
        listening.close()
        await asyncio.wait_for(writer.wait_closed(), 60)


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)


def in_loop(act):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(act(), 60))


async def answer(reader) -> tuple[bytes, dict[bytes, bytes], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in head[1:])
    body = await reader.readexactly(int(headers[b"content-length"]))
    return head[0], headers, body


def echo(request, give) -> bool:
    give(Response(b"plain:" + request.body, headers={"Cache-Control": "no-store"}))
    return True


@pytest.mark.parametrize("cut", [len(WHOLE), len(WHOLE) - 3, len(WHOLE) - 1, 5])
def test_a_request_is_answered_in_one_write_however_it_comes(cut):
    async def act():
        async with served(echo) as (reader, writer, _):
            for _ in range(2):  # the connection is kept
                writer.write(WHOLE[:cut])
                await asyncio.sleep(0.01)  # so that it comes in two parts, mostly
                writer.write(WHOLE[cut:])
                status, headers, body = await answer(reader)
                assert (status, body) == (b"HTTP/1.1 200 OK", b"plain:a=b")
                assert len(headers[b"x-request-id"]) == 16
                assert headers[b"cache-control"] == b"no-store"

    in_loop(act)


@pytest.mark.parametrize("query", [b"", b"?", b"?x=1&x=%32?"])
def test_a_get_is_answered_with_its_query_and_its_cookies(query):
    def said(request, give) -> bool:
        asked = Request(request.scope)
        octets = b"%s %s" % (asked.url.query.encode(), asked.cookies.get("a", "").encode())
        give(Response(b"plain:" + octets + asked.method.encode() + asked.url.path.encode()))
        return True

    async def act():
        async with served(said) as (reader, writer, _):
            head = b"GET /t%s HTTP/1.1\r\nHost: x\r\nCookie: b=c; a=d\r\n\r\n" % query
            writer.write(head)
            first = (await answer(reader))[2]
            writer.write(head[:9])
            await asyncio.sleep(0.01)
            writer.write(head[9:])
            return first, (await answer(reader))[2]

    assert in_loop(act) == (b"plain:%s dGET/t" % query[1:],) * 2


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /t?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
        HEAD + b"Connection: close\r\nContent-Length: 3\r\n\r\na=b",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 101\r\n\r\n" + b"a=b" + b"c" * 98,
        HEAD + b"Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\na=b",
        b"POST /t HTTP/1.0\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
        b"PUT /t HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
        b"GET /t?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
        b"GET /t?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"GET /t?x=1#y HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%74?x=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x/t?x=1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_out_of_the_ordinary_goes_through_the_application(request_):
    async def act():
        async with served(echo) as (reader, writer, _):
            writer.write(request_)
            return (await answer(reader))[2]

    assert in_loop(act).startswith(b"long:")


def test_what_the_handler_does_not_take_goes_through_the_application_with_its_body():
    async def act():
        async with served(lambda _request, _give: False) as (reader, writer, _):
            writer.write(WHOLE + WHOLE)
            return [(await answer(reader))[2] for _ in range(2)]

    assert in_loop(act) == [b"long:a=b"] * 2


def test_a_body_that_is_late_is_waited_for_by_the_application(monkeypatch):
    monkeypatch.setattr(http1, "_BODY_SECONDS", 0.01)

    async def act():
        async with served(echo) as (reader, writer, made):
            writer.write(WHOLE[:-3])
            await until(lambda: made and hasattr(made[0].cycle, "receive"))  # uvicorn's own
            writer.write(WHOLE[-3:])
            return (await answer(reader))[2]

    assert in_loop(act) == b"long:a=b"


def test_answers_that_come_later_keep_the_order_of_their_requests():
    gives = []

    def later(_request, give) -> bool:
        gives.append(give)
        return True

    async def act():
        async with served(later) as (reader, writer, _):
            writer.write(WHOLE + WHOLE)
            await until(lambda: gives)
            gives[0](Response(b"first"))
            return [(await answer(reader))[2] for _ in range(2)]

    # The second came while the first was under way, so the application has it.
    assert in_loop(act) == [b"first", b"long:a=b"]


def test_a_caller_who_left_and_a_server_that_stops():
    gives = []

    def later(_request, give) -> bool:
        gives.append(give)
        return True

    async def act():
        async with served(later) as (reader, writer, made):
            writer.write(WHOLE)
            await until(lambda: gives)
            made[0].shutdown()
            gives.pop()(Response(b"last"))
            headers = (await answer(reader))[1]
            assert headers[b"connection"] == b"close"
            assert await reader.read() == b""
        async with served(later) as (_, writer, made):
            writer.write(WHOLE)
            await until(lambda: gives)
            writer.close()
            await until(made[0].transport.is_closing)
            gives.pop()(Response(b"for nobody"))

    in_loop(act)


def test_an_error_of_the_handler_and_a_broken_header_are_said_without_their_reason():
    def refuse(request, give) -> bool:
        if request.body == b"a=b":
            raise RuntimeError("a secret")
        give(JSONResponse({}, headers={"X": "a\nSet-Cookie: b"}))
        return True

    async def act():
        async with served(refuse) as (reader, writer, _):
            writer.write(WHOLE)
            first = await answer(reader)
            writer.write(WHOLE.replace(b"a=b", b"c=d"))
            return first, await answer(reader)

    for status, headers, body in in_loop(act):
        assert status.startswith(b"HTTP/1.1 500 ")
        assert b"secret" not in body
        assert b"set-cookie" not in headers
