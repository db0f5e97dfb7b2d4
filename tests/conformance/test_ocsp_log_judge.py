"""The judge of recorded OCSP answers (`tests/judges/go/ocsplog.go`) can say no.

`benchmarks/ocsp` and `scripts/soak-revocation` stand on it: here each lie is planted that it must
find.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.db import Database
from tests.fakes.audit import MemoryAuditLog
from tests.judges import JudgeSaysNo, gmsm
from tests.judges.command import ask
from tests.unit.crl.requests import cert_id, nonce, request
from tests.unit.crl.world import World

pytestmark = pytest.mark.judge

SECOND = 1_000_000_000
NONCE = bytes(range(16))
Judge = Callable[..., str]


@pytest.fixture
def world(sqlite_database: Database) -> World:
    return World(sqlite_database, "ec", clock=SystemClock(), audit=MemoryAuditLog())


@pytest.fixture
def judge(world: World, tmp_path: Path) -> Judge:
    """Judge one answer, sent at 10 s and received at 11 s, with what is revoked at `revoked_at`."""

    def judge(
        body: bytes,
        *,
        about: int,
        known: bool = True,
        revoked_at: float | None = None,
        asked_nonce: bytes | None = None,
    ) -> str:
        issuer = world.issuers["ec-issuing"]
        (tmp_path / "issuer").write_bytes(issuer.certificate)
        word = "known" if known else "unknown"
        asked = cert_id(issuer, about).hex()
        (tmp_path / "questions").write_text(
            f"{word} {asked} {asked_nonce.hex() if asked_nonce else '-'}\n"
        )
        head = struct.pack("<IQQI", 0, 10 * SECOND, 11 * SECOND, len(body))
        (tmp_path / "record").write_bytes(head + body)
        lines = ""
        if revoked_at is not None:
            at = int(revoked_at * SECOND)
            lines = f"{about:x} {at - 1000} {at}\n"
        (tmp_path / "log").write_text(lines)
        files = [str(tmp_path / name) for name in ("issuer", "questions", "record", "log")]
        return ask(gmsm.binary(), "ocsp-answers", *files, "1000", says="wrong=0")

    return judge


def test_it_accepts_what_is_true(world: World, judge: Judge) -> None:
    one = world.issue("ec-issuing")
    issuer = world.issuers["ec-issuing"]
    good = world.responder.answer(request(cert_id(issuer, one.serial))).der
    assert "good=1" in judge(good, about=one.serial)
    # Asked half a second after the revocation: within the bound.
    assert "latest_good_ms=500.0" in judge(good, about=one.serial, revoked_at=9.5)
    assert "refused=1" in judge(bytes.fromhex("30030a0106"), about=1, known=False)
    echoed = request(cert_id(issuer, one.serial), extensions=(nonce(NONCE),))
    body = world.responder.answer(echoed).der
    assert "nonces=1" in judge(body, about=one.serial, asked_nonce=NONCE)
    assert "without_nonce=1" in judge(good, about=one.serial, asked_nonce=NONCE)
    world.revoke(one)
    revoked = world.responder.answer(request(cert_id(issuer, one.serial))).der
    assert "revoked=1" in judge(revoked, about=one.serial, revoked_at=9)


def test_it_finds_every_lie(world: World, judge: Judge) -> None:
    one, other = world.issue("ec-issuing"), world.issue("ec-issuing")
    issuer = world.issuers["ec-issuing"]
    good = world.responder.answer(request(cert_id(issuer, one.serial))).der
    nonced = request(cert_id(issuer, one.serial), extensions=(nonce(NONCE),))
    echoed = world.responder.answer(nonced).der
    world.revoke(other)
    revoked = world.responder.answer(request(cert_id(issuer, other.serial))).der
    lies = {
        "after the revocation": (good, {"about": one.serial, "revoked_at": 8.9}),
        "never issued": (good, {"about": one.serial, "known": False}),
        "another certificate": (good, {"about": other.serial}),
        "nobody revoked it": (revoked, {"about": other.serial}),
        "before": (revoked, {"about": other.serial, "revoked_at": 12}),
        "another one": (echoed, {"about": one.serial, "asked_nonce": NONCE[::-1]}),
        "refused": (bytes.fromhex("30030a0106"), {"about": one.serial}),
        "bad OCSP signature": (good[:-1] + bytes((good[-1] ^ 1,)), {"about": one.serial}),
    }
    for body, case in lies.values():
        with pytest.raises(JudgeSaysNo, match="wrong: question 0"):
            judge(body, **case)
