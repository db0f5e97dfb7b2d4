"""What the data plane remembers of requests is never given when the store says something else."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from core.clock import SystemClock
from core.db import Database
from crl.ocsp import recent
from crl.ocsp.head import parse_head
from crl.ocsp.keeper import Keeper
from crl.ocsp.listener import OCSPListener
from crl.ocsp.plane import OCSPPlane
from crl.ocsp.pulse import Trust
from crl.ocsp.recent import RecentAnswer, RecentAnswers
from crl.ocsp.signing import Made
from crl.ocsp.tally import answers_in
from crl.status import Status
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.crl.requests import cert_id, request
from tests.unit.crl.world import World


class Running:
    """A plane over a small authority, which asks it as a connection does."""

    def __init__(self, world: World, keeper: Keeper) -> None:
        self.world, self.keeper = world, keeper
        self.plane: OCSPPlane = keeper.plane()
        self.looks = 0
        find = keeper.store.find_answer

        def counted(key: bytes) -> tuple[int, bytes | None]:
            self.looks += 1
            return find(key)

        keeper.store.find_answer = counted  # type: ignore[method-assign]

    def ask(self, octets: bytes, *, close: bool = False) -> bytes | None:
        data = b"GET %r %s" % (close, octets)
        recent = self.plane.recent.get(data)
        repeated = None if recent is None else self.plane.repeat(recent)
        return repeated or self.plane.look_up(
            data, self.plane.reader.forms.key_of(octets), close=close
        )

    def sign(self, octets: bytes) -> None:
        async def make() -> None:
            made: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            self.keeper.signing.make(octets, made.set_result)
            assert isinstance(await asyncio.wait_for(made, 60), Made)

        asyncio.run(make())


@pytest.fixture
def running(
    sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog, tmp_path: Path
) -> Iterator[Running]:
    world = World(sqlite_database, "ec", clock=clock, audit=audit)
    keeper = world.make_keeper(tmp_path)
    world.revocation = RevocationService(
        store=world.store,
        transactions=world.database,
        audit=audit,
        clock=clock,
        listeners=(keeper.follower.after_change,),
    )
    yield Running(world, keeper)
    keeper.close()


@pytest.fixture
def asked(running: Running) -> bytes:
    return simple(running, issue(running))


def issue(running: Running) -> int:
    serial = running.world.issue("ec-issuing").serial
    running.keeper.follower.follow()
    return serial


def simple(running: Running, serial: int) -> bytes:
    octets = request(cert_id(running.world.issuers["ec-issuing"], serial))
    assert running.ask(octets) is None
    running.sign(octets)
    running.plane.look()
    return octets


def test_while_nothing_is_written_the_store_is_asked_once(running, asked):
    first = running.ask(asked)
    looks = running.looks
    assert [running.ask(asked) for _ in range(5)] == [first] * 5
    assert running.looks == looks
    assert running.ask(asked, close=True) == first.replace(
        b"GMT\r\n", b"GMT\r\nconnection: close\r\n", 1
    )


def test_a_change_of_another_certificate_makes_it_look_again(running, asked):
    first = running.ask(asked)
    issue(running)
    looks = running.looks
    assert [running.ask(asked) for _ in range(3)] == [first] * 3
    assert running.looks == looks + 1


def test_a_revocation_ends_it_at_once(running):
    serial = issue(running)
    asked = simple(running, serial)
    assert running.ask(asked) is not None
    running.world.revocation.hold("ec-issuing", serial, actor="tester")
    assert running.ask(asked) is None
    running.sign(asked)
    held = running.ask(asked)
    running.world.revocation.release("ec-issuing", serial, actor="tester")
    assert running.ask(asked) is None
    running.sign(asked)
    assert running.ask(asked) not in {None, held}


def test_a_store_that_is_not_to_be_believed_ends_it(running, asked):
    assert running.ask(asked) is not None
    running.keeper.pulse.doubt(Trust.DISTRUSTED)
    assert running.ask(asked) is None
    running.keeper.pulse.doubt(Trust.BELIEVED)
    assert running.ask(asked) is not None


def wire(octets: bytes, *, post: bool, close: bool = False) -> bytes:
    more = "Connection: close\r\n" if close else ""
    if post:
        head = f"POST /ocsp HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {len(octets)}\r\n\r\n"
        return head.encode() + octets
    path = quote(b64encode(octets).decode(), safe="")
    return f"GET /ocsp/{path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode()


@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize("close", [False, True])
def test_what_a_client_writes_around_its_questions_is_learnt(running, asked, post, close):
    listener = OCSPListener(running.plane, wait_seconds=30)
    data, other = (
        wire(one, post=post, close=close) for one in (asked, simple(running, issue(running)))
    )
    assert listener.answer(data) is None
    octets = data[: data.index(b"\r\n\r\n") + 4]
    listener.learn(octets, parse_head(octets))
    for one in (data, other):
        response, ends = listener.answer(one)
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (ends, listener.recent[one].close) == (close, close)
        assert listener.answer(one) == (response, ends)
    # Not the whole of one request, or more than that, or only something like it.
    for wrong in (data[:-1], data + b"\0", data[5:], b"", data[data.index(b" HTTP") :]):
        assert listener.answer(wrong) is None


def test_what_it_says_is_counted_by_issuer(running):
    serial = issue(running)
    asked = simple(running, serial)
    running.ask(asked)
    running.world.revocation.hold("ec-issuing", serial, actor="tester")
    running.sign(asked)
    for _ in range(3):
        running.ask(asked)
    running.plane.look()
    number = running.keeper.store.parties.number_of("ec-issuing")
    found = list(answers_in(running.keeper.pulse.counts()))
    assert found == [(number, Status.GOOD, True, 1), (number, Status.REVOKED, True, 3)]


def test_it_is_given_neither_before_it_was_made_nor_after_its_end(running, asked, clock):
    first = running.ask(asked)
    clock.advance(seconds=-1)
    assert running.ask(asked) is None
    clock.advance(seconds=1)
    assert running.ask(asked) == first
    clock.advance(days=2)
    assert running.ask(asked) is None


def test_a_responder_that_is_revoked_takes_its_answers_along(running, asked):
    assert running.ask(asked) is not None
    (responder,) = running.world.crl_store.list_delegates("ec-issuing")
    running.world.revocation.revoke(
        "ec-issuing", responder.serial, RevocationReason.KEY_COMPROMISE, actor="tester"
    )
    running.ask(asked)  # the tables are looked at once a second
    running.plane.look()
    assert running.ask(asked) is None


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(recent, "MAX_RECENT", 3)
    memory = RecentAnswers()
    assert not memory.takes(bytes(recent.MAX_RECENT_OCTETS + 1))
    for number in range(10):
        if memory.takes(bytes((number,))):
            memory[bytes((number,))] = RecentAnswer(0, 0, 0, 0, close=False, rest=b"", tail=b"")
    assert memory.takes(b"\x02")
    for _ in range(recent.FULL_SECONDS):
        assert list(memory) == [b"\x00", b"\x01", b"\x02"]
        memory.age()
    assert not memory


def test_the_clock_of_the_machine_goes_on(monkeypatch):
    clock, times = SystemClock(), iter((1_800_000_000.2, 1_800_000_000.9, 1_800_000_001.0, 5.0))
    monkeypatch.setattr("core.clock.time", SimpleNamespace(time=lambda: next(times)))
    first, same, later, back = (clock.now() for _ in range(4))
    assert first is same
    assert later - first == timedelta(seconds=1)
    assert (first.isoformat(), back.timestamp()) == ("2027-01-15T08:00:00+00:00", 5.0)
