"""The data plane under what happens to it: revocations, stalled signers, odd connections."""

from __future__ import annotations

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import quote

import httpx2
import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from core.db import Database
from crl.ocsp import lanes, listener
from crl.ocsp.budget import Budget
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import MemorySigner
from tests.integration.plane import RunningPlane, read_to_end, running_plane
from tests.unit.crl.requests import cert_id, nonce, request
from tests.unit.crl.world import World

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
UNKNOWN = ocsp.OCSPCertStatus.UNKNOWN
TRY_LATER = "30030a0103"
UNAUTHORIZED = "30030a0106"


@pytest.fixture
def world(database: Database, clock: FakeClock, audit: MemoryAuditLog) -> World:
    return World(database, "ec", clock=clock, audit=audit)


@pytest.fixture
def plane(world: World) -> Iterator[RunningPlane]:
    with running_plane(world) as running:
        yield running


@pytest.fixture
def client(plane: RunningPlane) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=plane.url, timeout=60) as opened:
        yield opened


def question(world: World, issued, **options) -> bytes:
    return request(cert_id(world.issuers[issued.issuer], issued.serial), **options)


def post(client: httpx2.Client, octets: bytes) -> bytes:
    return client.post("/ocsp", content=octets).content


def status(octets: bytes) -> ocsp.OCSPCertStatus:
    return ocsp.load_der_ocsp_response(octets).certificate_status


def heard(client: httpx2.Client, octets: bytes) -> ocsp.OCSPCertStatus:
    """What is said; "try later" is no answer, and a machine that is busy for seconds hears it."""
    for _ in range(20):
        answer = ocsp.load_der_ocsp_response(post(client, octets))
        if answer.response_status is not ocsp.OCSPResponseStatus.TRY_LATER:
            return answer.certificate_status
    raise AssertionError("nothing was signed")


def wire_get(octets: bytes, version: str = "1.1", more: str = "") -> bytes:
    path = quote(b64encode(octets).decode(), safe="")
    return f"GET /ocsp/{path} HTTP/{version}\r\nHost: x\r\n{more}\r\n".encode()


def elsewhere(world: World) -> RevocationService:
    """The same database, changed by a process that this one does not hear of."""
    return RevocationService(
        store=world.store, transactions=world.database, audit=world.audit, clock=world.clock
    )


@contextmanager
def stalled(monkeypatch) -> Iterator[threading.Semaphore]:
    """No signature ends before the block does; the semaphore counts those that began."""
    release, begun = threading.Event(), threading.Semaphore(0)
    sign = MemorySigner.sign

    def wait(signer: MemorySigner, message: bytes) -> bytes:
        begun.release()
        release.wait(60)
        return sign(signer, message)

    with monkeypatch.context() as patched:
        patched.setattr(MemorySigner, "sign", wait)
        try:
            yield begun
        finally:
            release.set()


# ---- truth --------------------------------------------------------------------------------------


def test_the_same_question_is_answered_from_the_store(world, plane, client, monkeypatch):
    asked = question(world, world.issue("ec-issuing"))
    first = post(client, asked)
    monkeypatch.setattr(plane.keeper.signing, "make", None)
    assert post(client, asked) == first
    path = "/ocsp/" + quote(b64encode(asked).decode(), safe="")
    for _ in range(2):
        assert client.get(path).content == first


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512", "sm3"])
def test_the_very_next_answer_after_a_revocation_says_revoked(world, client, digest):
    issued = world.issue("ec-issuing")
    asked = request(cert_id(world.issuers["ec-issuing"], issued.serial, digest))
    for _ in range(3):
        assert heard(client, asked) is GOOD
    world.revocation.hold("ec-issuing", issued.serial, actor="tester")
    assert heard(client, asked) is REVOKED
    world.revocation.release("ec-issuing", issued.serial, actor="tester")
    assert heard(client, asked) is GOOD
    world.revoke(issued)
    assert heard(client, asked) is REVOKED


def test_an_issuer_is_known_in_the_second_in_which_it_begins(world, plane, client, monkeypatch):
    monkeypatch.setattr(listener, "_TICK_SECONDS", 3600)
    assert heard(client, question(world, world.issue("ec-issuing"))) is GOOD
    # Each way to ask finds it by itself.
    for family, more in (("ed25519", ()), ("rsa", (nonce(bytes(16)),))):
        world.begin(family)
        plane.keeper.keep_issuers(world.issuers.values())
        asked = question(world, world.issue(f"{family}-issuing"), extensions=more)
        assert heard(client, asked) is GOOD
    stranger = replace(world.issuers["rsa-root"], subject=world.issuers["ec-root"].subject)
    assert post(client, request(cert_id(stranger, 1))).hex() == UNAUTHORIZED


def test_under_load_no_question_asked_after_a_revocation_hears_good(world, plane):
    certificates = [world.issue("ec-issuing") for _ in range(10)]
    asked = {one.serial: question(world, one) for one in certificates}
    revoked: set[int] = set()
    wrong: list[int] = []
    done = threading.Event()

    def hammer() -> None:
        with httpx2.Client(base_url=plane.url, timeout=60) as client:
            while not done.is_set():
                for one in certificates:
                    before = one.serial in revoked
                    found = heard(client, asked[one.serial])
                    if before and found is not REVOKED:
                        wrong.append(one.serial)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(hammer) for _ in range(3)]
        for one in certificates:
            world.revoke(one)
            revoked.add(one.serial)
            with httpx2.Client(base_url=plane.url, timeout=60) as client:
                assert heard(client, asked[one.serial]) is REVOKED
        done.set()
        for future in running:
            future.result()
    assert wrong == []


def test_a_revocation_by_another_process_shows_within_a_second(world, client):
    def lag() -> float:
        issued = world.issue("ec-issuing")
        asked = question(world, issued)
        post(client, asked)
        elsewhere(world).revoke(
            "ec-issuing", issued.serial, RevocationReason.KEY_COMPROMISE, actor="tester"
        )
        revoked_at = time.monotonic()
        while heard(client, asked) is not REVOKED:
            assert time.monotonic() - revoked_at < 60
        return time.monotonic() - revoked_at

    assert lag() < 1.5


def test_a_good_that_was_being_signed_during_the_revocation_is_not_kept(world, client, monkeypatch):
    issued = world.issue("ec-issuing")
    asked = question(world, issued)
    with ThreadPoolExecutor(1) as pool:
        with stalled(monkeypatch) as begun:
            early = pool.submit(post, client, asked)
            assert begun.acquire(timeout=60)
            # Its status has been read: it is about to sign "good".
            world.revoke(issued)
        assert status(early.result()) is REVOKED
    for _ in range(3):
        assert status(post(client, asked)) is REVOKED


def test_an_answer_in_use_is_signed_anew_at_half_of_its_life(world, client, clock):
    issued = world.issue("ec-issuing")
    asked = question(world, issued)
    first = post(client, asked)
    clock.advance(hours=14)
    # Half of its validity is over: it still serves, and a new one is made behind it.
    assert post(client, asked) == first
    until = time.monotonic() + 60
    while post(client, asked) == first:
        assert time.monotonic() < until


def test_answers_of_a_revoked_responder_are_given_no_more(world, client):
    """Trap 11: nobody asks whether a responder is revoked, so its answers go within a second."""
    asked = question(world, world.issue("ec-issuing"))
    first = post(client, asked)
    (responder,) = world.crl_store.list_delegates("ec-issuing")
    world.revocation.revoke(
        "ec-issuing", responder.serial, RevocationReason.KEY_COMPROMISE, actor="tester"
    )
    until = time.monotonic() + 60
    while post(client, asked).hex() != TRY_LATER:
        assert time.monotonic() < until
        time.sleep(0.1)
    world.ensure_delegate("ec-issuing")
    world.clock.advance(minutes=2)
    found = post(client, asked)
    assert status(found) is GOOD
    assert found != first


# ---- budgets ------------------------------------------------------------------------------------


def test_a_stalled_signer_leaves_cached_answers_as_fast_as_before(world, client, monkeypatch):
    known, fresh = world.issue("ec-issuing"), world.issue("ec-issuing")
    asked = question(world, known)
    first = post(client, asked)
    monkeypatch.setattr(lanes, "_ANSWER_SECONDS", 0.3)
    with stalled(monkeypatch):
        began = time.monotonic()
        for _ in range(100):
            assert post(client, asked) == first
        assert time.monotonic() - began < 5  # each that waited for a signer would take 0.3 s
        # Who wants a nonce gets the answer without; who asks what nobody asked has to wait.
        assert post(client, question(world, known, extensions=(nonce(b"n" * 16),))) == first
        assert post(client, question(world, fresh)).hex() == TRY_LATER
        assert post(client, asked) == first


def test_what_is_over_the_budget_is_refused_at_once_and_the_rest_is_served(
    world, client, monkeypatch
):
    monkeypatch.setattr(lanes, "SPARE", 2)
    known, fresh = world.issue("ec-issuing"), world.issue("ec-issuing")
    first = post(client, question(world, known))
    root = world.issuers["ec-root"]
    of_the_root = request(
        cert_id(
            root,
            x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate).serial_number,
        )
    )
    answered = post(client, of_the_root)

    def with_nonce(number: int) -> bytes:
        value = nonce(bytes([number]) * 16)
        with httpx2.Client(base_url=client.base_url, timeout=60) as own:
            return post(own, question(world, known, extensions=(value,)))

    with ThreadPoolExecutor(2) as pool:
        with stalled(monkeypatch) as begun:
            waiting = [pool.submit(with_nonce, number) for number in range(2)]
            assert begun.acquire(timeout=60)
            assert begun.acquire(timeout=60)
            # What nonces may have of the threads is taken: the next one is left out, at once.
            assert with_nonce(3) == first
            assert post(client, of_the_root) == answered
        signed = [ocsp.load_der_ocsp_response(one.result()) for one in waiting]
        assert all(len(one.extensions) == 1 for one in signed)
    assert status(post(client, question(world, fresh))) is GOOD


def test_serials_never_issued_cost_few_signatures_and_starve_nobody(world, plane, client):
    plane.keeper.responder._unknowns = Budget(3, elapsed=lambda: 0.0)
    known = world.issue("ec-issuing")
    first = post(client, question(world, known))
    signed = len(world.keystore.signed)
    issuer = world.issuers["ec-issuing"]
    stop = threading.Event()

    def guess(start: int) -> set[str]:
        seen = set()
        with httpx2.Client(base_url=client.base_url, timeout=60) as own:
            number = start
            while not stop.is_set():
                number += 1
                seen.add(post(own, request(cert_id(issuer, number))).hex())
        return seen

    with ThreadPoolExecutor(3) as pool:
        guessing = [pool.submit(guess, start << 32) for start in range(1, 4)]
        for _ in range(200):
            assert post(client, question(world, known)) == first
        assert status(post(client, question(world, world.issue("ec-issuing")))) is GOOD
        stop.set()
        answers = set().union(*(one.result() for one in guessing))
    # What the budget allows, each of another number.
    assert UNAUTHORIZED in answers
    answers.remove(UNAUTHORIZED)
    assert [status(bytes.fromhex(one)) for one in answers] == [UNKNOWN] * 3
    # The new certificate, and its answer.
    assert len(world.keystore.signed) == signed + 3 + 2


def test_a_nonce_above_the_budget_costs_no_signature(world, plane, client, monkeypatch):
    known = world.issue("ec-issuing")
    first = post(client, question(world, known))
    count = len(world.keystore.signed)
    monkeypatch.setattr(plane.keeper.responder, "_nonces", Budget(0))
    assert post(client, question(world, known, extensions=(nonce(b"n" * 16),))) == first
    assert len(world.keystore.signed) == count


# ---- connections --------------------------------------------------------------------------------


def bodies(received: bytes) -> list[bytes]:
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        found.append(rest[:length])
        received = rest[length:]
    return found


def test_http_1_0_is_closed_by_the_service(world, plane):
    asked = question(world, world.issue("ec-issuing"))
    for _ in range(2):
        received = plane.send(wire_get(asked, "1.0"))
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in received
        assert status(bodies(received)[0]) is GOOD


def test_pipelined_requests_are_answered_in_their_order(world, plane):
    one, two = world.issue("ec-issuing"), world.issue("ec-issuing")
    world.revoke(two)
    head = b"HEAD" + wire_get(question(world, one))[3:]
    received = plane.send(
        wire_get(question(world, one))
        + wire_get(question(world, two, extensions=(nonce(b"n" * 16),)))
        + wire_get(question(world, one))
        + b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        + wire_get(question(world, two), more="Connection: close\r\n")
        + head
    )
    answers = bodies(received)
    assert [status(answer) for answer in (*answers[:3], answers[4])] == [
        GOOD, REVOKED, GOOD, REVOKED,
    ]  # fmt: skip
    assert answers[3].hex() == "30030a0101"
    assert len(answers) == 5  # what follows a close is not answered


def test_octets_may_come_one_by_one(world, plane):
    asked = question(world, world.issue("ec-issuing"))
    octets = wire_get(asked) + (
        b"POST /ocsp HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(asked) + asked
    )
    with socket.create_connection(plane.address, timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in octets:
            connection.sendall(bytes((octet,)))
        first, second = bodies(read_to_end(connection))
    assert first == second


def test_a_connection_may_mix_ocsp_with_everything_else(world, client):
    asked = question(world, world.issue("ec-issuing"))
    first = post(client, asked)
    assert client.get("/crl/ec-issuing.crl").status_code == 200
    assert post(client, asked) == first
    assert client.get("/ca/ec-issuing.cer").content == world.issuers["ec-issuing"].certificate


def test_expect_100_continue_is_answered_before_the_body(world, plane):
    asked = question(world, world.issue("ec-issuing"))
    head = (
        b"POST /ocsp HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(asked)
    )
    with socket.create_connection(plane.address, timeout=60) as connection:
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(asked)
        assert status(bodies(read_to_end(connection))[0]) is GOOD


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01" + b"\x00" * 300 + b"\r\n\r\n",
        b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
        b"GET /ocsp/MA HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_closed(plane, octets: bytes):
    received = plane.send(octets)
    assert received.startswith(b"HTTP/1.1 400 ")


def test_a_head_without_an_end_is_refused_and_harms_nobody(world, plane):
    # The octets that come after the refusal reset the connection, and that may overtake the answer.
    with suppress(ConnectionResetError, BrokenPipeError):
        refused = plane.send(b"GET /ocsp/MA HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000)
        assert refused.startswith(b"HTTP/1.1 400 ")
    asked = question(world, world.issue("ec-issuing"))
    assert status(bodies(plane.send(wire_get(asked, "1.0")))[0]) is GOOD


def test_who_is_slow_or_silent_is_cut_off_and_harms_nobody(world):
    with running_plane(world, wait_seconds=2) as plane:
        asked = question(world, world.issue("ec-issuing"))
        silent = socket.create_connection(plane.address, timeout=60)
        halfway = socket.create_connection(plane.address, timeout=60)
        halfway.sendall(wire_get(asked)[:-1])
        short = socket.create_connection(plane.address, timeout=60)
        short.sendall(b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 83\r\n\r\n0")
        assert status(bodies(plane.send(wire_get(asked, "1.0")))[0]) is GOOD
        for connection in (silent, halfway, short):
            with connection:
                assert ended(connection)


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_who_does_not_read_gets_no_more(world):
    with running_plane(world, wait_seconds=2) as plane:
        octets = wire_get(question(world, world.issue("ec-issuing")))
        plane.send(octets[:-2] + b"Connection: close\r\n\r\n")
        with socket.create_connection(plane.address, timeout=0.5) as connection:
            sent = 0
            with pytest.raises(OSError, match=r"timed out|reset|Broken pipe"):
                while sent < 1 << 28:
                    sent += connection.send(octets * 100)


def test_too_many_connections_are_not_taken_and_the_others_go_on(world, plane, monkeypatch):
    asked = question(world, world.issue("ec-issuing"))
    with socket.create_connection(plane.address, timeout=60) as first:
        first.sendall(wire_get(asked))
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(listener, "MAX_CONNECTIONS", 1)
        with socket.create_connection(plane.address, timeout=60) as second:
            assert ended(second)
        first.sendall(wire_get(asked, more="Connection: close\r\n"))
        assert status(bodies(read_to_end(first))[0]) is GOOD


def test_a_client_that_leaves_while_its_answer_is_signed_harms_nobody(
    world, plane, client, monkeypatch
):
    asked = question(world, world.issue("ec-issuing"))
    with stalled(monkeypatch) as begun:
        connection = socket.create_connection(plane.address, timeout=60)
        connection.sendall(wire_get(asked))
        assert begun.acquire(timeout=60)
        connection.close()
    assert status(post(client, asked)) is GOOD


def test_a_stop_lets_the_answer_that_is_being_signed_out(world, monkeypatch):
    asked = question(world, world.issue("ec-issuing"))
    with ThreadPoolExecutor(1) as pool, running_plane(world) as plane:
        with stalled(monkeypatch) as begun:
            waiting = pool.submit(plane.send, wire_get(asked))
            assert begun.acquire(timeout=60)
            plane.stop()
        assert status(bodies(waiting.result())[0]) is GOOD
