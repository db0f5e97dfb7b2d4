"""The client's side of OCSP: our questions, and what is believed of an answer."""

from __future__ import annotations

import secrets

import pytest
from cryptography.x509 import ocsp

from ca.serials import random_serial
from core.db import Database
from core.errors import InvalidSignature, Malformed, Refused
from crl.ocsp.question import Question
from crl.ocsp.verification import verify_answer
from keystore.algorithms import Digest
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.crl.requests import cert_id, nonce, request
from tests.unit.crl.world import World


@pytest.fixture
def world(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> World:
    return World(sqlite_database, "sm2", "ec", clock=clock, audit=audit)


def question(world: World, serial: int, family: str = "ec", **how) -> Question:
    return Question(world.issuers[f"{family}-issuing"].certificate, serial, **how)


def test_it_asks_as_the_others_do(world):
    issuer = world.issuers["sm2-issuing"]
    for digest in Digest:
        asked = question(world, 4711, "sm2", digest=digest, nonce=b"n" * 16)
        known = cert_id(issuer, 4711, digest.value)
        assert asked.cert_id == known
        assert asked.request == request(known, extensions=(nonce(b"n" * 16),))


@pytest.mark.parametrize("family", ["sm2", "ec"])
@pytest.mark.parametrize("digest", [Digest.SHA1, Digest.SM3])
def test_it_believes_what_our_responder_says(world, clock, family, digest):
    issued = world.issue(f"{family}-issuing")
    asked = question(world, issued.serial, family, digest=digest, nonce=secrets.token_bytes(16))
    found = verify_answer(world.responder.answer(asked.request).der, asked, now=clock.now())
    assert (found.status, found.nonce_returned, found.revoked_at) == ("good", True, None)
    assert found.responder is not None
    world.revoke(issued)
    found = verify_answer(world.responder.answer(asked.request).der, asked, now=clock.now())
    assert (found.status, found.reason) == ("revoked", "keyCompromise")
    assert found.revoked_at == clock.now()


def test_it_believes_nothing_else(world, clock):
    asked = question(world, world.issue("ec-issuing").serial)
    answer = world.responder.answer(asked.request).der
    other = question(world, world.issue("ec-issuing").serial)
    with pytest.raises(Refused, match="another certificate"):
        verify_answer(answer, other, now=clock.now())
    by_another_hash = question(world, asked.serial, digest=Digest.SHA256)
    with pytest.raises(Refused, match="another hash"):
        verify_answer(answer, by_another_hash, now=clock.now())
    signature = ocsp.load_der_ocsp_response(answer).signature
    turned = answer.replace(signature, signature[:-1] + bytes((signature[-1] ^ 1,)))
    with pytest.raises(InvalidSignature, match="signature of the answer"):
        verify_answer(turned, asked, now=clock.now())
    for octets in (b"", answer[:-1], answer + b"\x00", bytes(70_000)):
        with pytest.raises(Malformed):
            verify_answer(octets, asked, now=clock.now())
    with pytest.raises(Refused, match="unauthorized"):
        verify_answer(bytes.fromhex("30030a0106"), asked, now=clock.now())
    fresh = question(world, asked.serial, nonce=b"a" * 16)
    with pytest.raises(Refused, match="another nonce"):
        replayed = question(world, asked.serial, nonce=b"b" * 16)
        verify_answer(world.responder.answer(fresh.request).der, replayed, now=clock.now())
    clock.advance(days=2)
    with pytest.raises(Refused, match="holds no more"):
        verify_answer(answer, asked, now=clock.now())


def test_a_serial_that_was_never_issued_is_never_good(world, clock):
    asked = question(world, random_serial())
    try:
        octets = world.responder.answer(asked.request).der
    except Exception as error:
        assert "not issued" in str(error)  # noqa: PT017
    else:
        assert verify_answer(octets, asked, now=clock.now()).status == "unknown"
