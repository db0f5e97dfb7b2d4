"""Calls to others: bounded as a whole, on connections used again while they are fresh."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core import outbound as module
from core.errors import Unavailable
from core.outbound import MAX_ANSWER_OCTETS, Answer, Outbound, OutboundConfig, trusting
from tests.servers import localhost_certificate, server_context

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request of each connection by `behave`, in one thread, one after another."""

    def __init__(self, certificate: Path) -> None:
        self.behave: Callable[[ssl.SSLSocket], None] = lambda sock: sock.sendall(GOOD)
        self.connections = 0
        self.done = threading.Event()
        self._context = server_context(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self._listening.getsockname()[1]}/"

    def stop(self) -> None:
        self.done.set()
        with socket.create_connection(self._listening.getsockname()[:2]):
            self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while not self.done.is_set():
            plain, _ = self._listening.accept()
            with plain, suppress(OSError):
                self._converse(plain)

    def _converse(self, plain: socket.socket) -> None:
        if self.done.is_set():
            return
        with self._context.wrap_socket(plain, server_side=True) as sock:
            self.connections += 1
            while sock.recv(65536):
                self.behave(sock)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return localhost_certificate(tmp_path_factory.mktemp("outbound"))


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    made = Server(certificate)
    yield made
    made.stop()


@pytest.fixture
def calling(certificate: Path, server: Server) -> Iterator[Callable[[float], Outbound]]:
    made: list[Outbound] = []

    def make(seconds: float) -> Outbound:
        config = OutboundConfig(allowed_networks=["127.0.0.0/8"], timeout_seconds=seconds)
        pem = certificate.read_text()
        trust = trusting(config, pem[: pem.index("-----BEGIN PRIVATE KEY-----")])
        made.append(Outbound(config, trust))
        return made[-1]

    yield make
    for caller in made:
        caller.close()


def test_a_connection_is_used_again_while_it_is_fresh(calling, server, monkeypatch):
    caller = calling(30)
    assert [caller.get(server.url) for _ in range(3)] == [Answer(200, b"ok")] * 3
    assert server.connections == 1
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0)
    assert caller.get(server.url).status == 200
    assert server.connections == 2


def test_after_the_end_no_connection_is_kept(calling, server):
    caller = calling(30)
    caller.close()
    for _ in range(2):
        assert caller.get(server.url) == Answer(200, b"ok")
    assert server.connections == 2


def test_no_call_starts_a_thread(calling, server):
    threads: list[int] = []

    def count(sock: ssl.SSLSocket) -> None:
        threads.append(threading.active_count())
        sock.sendall(GOOD)

    server.behave = count
    before = threading.active_count()
    calling(30).get(server.url)
    assert threads == [before]


@pytest.mark.parametrize("where", ["head", "body"])
def test_who_answers_an_octet_at_a_time_is_left_at_the_end_of_the_time(calling, server, where):
    def drip(sock: ssl.SSLSocket) -> None:
        # Every octet comes long before the timeout of one read.
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        if where == "body":
            sock.sendall(b"Content-Length: 100000\r\n\r\n")
        while not server.done.wait(0.02):
            sock.sendall(b"a")

    server.behave = drip
    with pytest.raises(Unavailable, match=r"time for the call is over|timed out"):
        calling(0.3).get(server.url)


def test_who_accepts_and_says_nothing_is_left(calling, server):
    server.behave = lambda _sock: None
    with pytest.raises(Unavailable, match="timed out"):
        calling(0.2).get(server.url)


def test_an_answer_that_is_too_long_is_not_read(calling, server):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_ANSWER_OCTETS + 1}\r\n\r\n".encode()
    server.behave = lambda sock: sock.sendall(head + bytes(MAX_ANSWER_OCTETS + 1))
    with pytest.raises(Unavailable, match=str(MAX_ANSWER_OCTETS)):
        calling(30).get(server.url)
