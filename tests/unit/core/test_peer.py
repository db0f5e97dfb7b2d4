"""A peer over real TLS on this machine: known by its key, bounded, repeated only when it may be."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors import Conflict, Forbidden, Unavailable
from core.peer import (
    MAX_ANSWER_OCTETS,
    Peer,
    check_fingerprints,
    check_peer_url,
    key_fingerprint,
    require_key,
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("host") / "host.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def der(host: Path) -> bytes:
    certificate = x509.load_pem_x509_certificate(host.read_bytes())
    return certificate.public_bytes(serialization.Encoding.DER)


Talk = Callable[[ssl.SSLSocket, int], None]
"""What the server does with the n-th connection."""


@contextmanager
def serving(host: Path, talk: Talk) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(host)
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        number = 0
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            plain.settimeout(5)
            with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                talk(connection, number)
            plain.close()
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"https://localhost:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def request(connection: ssl.SSLSocket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            raise OSError("closed")
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return body


def answer(connection: ssl.SSLSocket, body: bytes, status: int = 200) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def peer(host: Path, url: str, **how) -> Peer:
    keys = how.pop("keys", frozenset({key_fingerprint(der(host))}))
    context = ssl.create_default_context(cafile=host)
    seconds = how.pop("timeout_seconds", 2.0)
    return Peer(
        url, name="the peer", keys=keys, context=lambda: context, timeout_seconds=seconds, **how
    )


def test_calls_share_a_connection(host: Path) -> None:
    seen = []

    def talk(connection: ssl.SSLSocket, number: int) -> None:
        while True:
            seen.append((number, json.loads(request(connection))))
            answer(connection, b'{"ok": 1}')

    with serving(host, talk) as url:
        called = peer(host, url)
        assert [called.post("/a", {"n": n}, repeatable=True) for n in range(3)] == [{"ok": 1}] * 3
        called.close()
    assert seen == [(0, {"n": 0}), (0, {"n": 1}), (0, {"n": 2})]


def test_a_connection_that_died_while_idle_is_replaced_for_calls_that_may_be_repeated(
    host: Path,
) -> None:
    seen = []

    def talk(connection: ssl.SSLSocket, number: int) -> None:
        seen.append((number, json.loads(request(connection))["n"]))
        answer(connection, b"{}")

    with serving(host, talk) as url:
        called = peer(host, url)
        for n in range(2):
            called.post("/a", {"n": n}, repeatable=True)
        called.post("/a", {"n": 2}, repeatable=False)
        called.close()
    assert seen == [(0, 0), (1, 1), (2, 2)]


def test_a_call_that_may_not_be_repeated_is_sent_once(host: Path) -> None:
    seen = []

    def talk(connection: ssl.SSLSocket, number: int) -> None:
        seen.append(request(connection))

    with serving(host, talk) as url, pytest.raises(Unavailable, match="the peer cannot be reached"):
        peer(host, url).post("/a", {}, repeatable=False)
    assert len(seen) == 1


def test_another_key_is_not_the_peer_however_good_its_certificate(host: Path) -> None:
    sent = []

    def talk(connection: ssl.SSLSocket, number: int) -> None:
        sent.append(request(connection))

    with serving(host, talk) as url, pytest.raises(Unavailable, match="key that is not the one"):
        peer(host, url, keys=frozenset({"0" * 64})).post("/a", {"secret": 1}, repeatable=True)
    assert sent == []


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (409, b'{"detail": "done already"}', Conflict, "done already"),
        (403, b'{"detail": "who?"}', Unavailable, "does not accept this host: who?"),
        (500, b'{"detail": "internal"}', Unavailable, "internal"),
        (502, b"<html>", Unavailable, "answered 502"),
        (200, b"<html>", Unavailable, "answered 200"),
        (409, b"[]", Unavailable, "answered 409"),
        (200, b"[" * 200_000, Unavailable, "answered 200"),
        (200, b" " * (MAX_ANSWER_OCTETS + 1), Unavailable, "too long"),
    ],
)
def test_what_it_refuses_with_is_raised_and_nonsense_is_unavailable(
    host: Path, status: int, body: bytes, error: type[Exception], words: str
) -> None:
    def talk(connection: ssl.SSLSocket, number: int) -> None:
        request(connection)
        answer(connection, body, status)

    with serving(host, talk) as url:
        called = peer(host, url)
        with pytest.raises(error, match=words.replace("?", r"\?")):
            called.post("/a", {}, repeatable=True)
        called.close()


@pytest.mark.parametrize("drop", [False, True], ids=["silent", "one octet at a time"])
def test_a_slow_peer_is_given_up_after_the_time_given(host: Path, drop: bool) -> None:
    given_up = threading.Event()

    def talk(connection: ssl.SSLSocket, number: int) -> None:
        request(connection)
        while not given_up.wait(0.05):
            if drop:
                connection.sendall(b"H" if number < 0 else b" ")

    with serving(host, talk) as url:
        called = peer(host, url, timeout_seconds=0.4)
        with pytest.raises(Unavailable, match="the peer cannot be reached"):
            called.post("/a", {}, repeatable=True)
        given_up.set()


def test_so_many_wait_for_a_slow_peer_and_no_more(host: Path) -> None:
    asked, over = threading.Event(), threading.Event()

    def talk(connection: ssl.SSLSocket, number: int) -> None:
        request(connection)
        asked.set()
        over.wait(60)
        answer(connection, b"{}")

    with serving(host, talk) as url:
        called = peer(host, url, connections=1, timeout_seconds=60)
        first = threading.Thread(target=lambda: called.post("/a", {}, repeatable=True))
        first.start()
        assert asked.wait(60)
        called._timeout = 0.05
        with pytest.raises(Unavailable, match="too slow: too many calls wait"):
            called.post("/a", {}, repeatable=True)
        over.set()
        first.join()
        called.close()


def test_a_caller_is_let_in_by_its_key_alone(host: Path) -> None:
    fingerprint = key_fingerprint(der(host))
    assert require_key(der(host), frozenset({fingerprint}), what="us") == fingerprint
    for shown, keys in ((None, {fingerprint}), (der(host), {"0" * 64}), (der(host), set())):
        with pytest.raises(Forbidden, match="for us only"):
            require_key(shown, frozenset(keys), what="us")


@pytest.mark.parametrize(
    "url", ["http://a", "https://", "https://a/", "https://a/b", "https://u@a", "https://a:0", "a"]
)
def test_an_address_of_a_peer_is_an_https_origin(url: str) -> None:
    with pytest.raises(ValueError, match="https://host"):
        check_peer_url(url)


def test_a_fingerprint_is_a_sha256_in_lowercase() -> None:
    assert check_fingerprints(("0" * 64,)) == ("0" * 64,)
    for wrong in ("", "A" * 64, "0" * 63):
        with pytest.raises(ValueError, match="SHA-256"):
            check_fingerprints((wrong,))
