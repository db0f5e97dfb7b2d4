"""pkilint finds neither an error nor a warning in any CRL or OCSP answer that we emit."""

from __future__ import annotations

import pytest

from ca.reasons import RevocationReason
from crl.config import CRLConfig, OCSPConfig, RevocationConfig
from crl.ocsp.response import Refusal, encode_refusal
from tests.judges import JudgeSaysNo
from tests.judges.linter import lint_crl, lint_ocsp
from tests.unit.crl.requests import cert_id, nonce, request
from tests.unit.crl.world import World

pytestmark = pytest.mark.judge


@pytest.fixture(params=["ec", "sm2", "ed25519"])
def world(request: pytest.FixtureRequest, make_world) -> World:
    config = RevocationConfig(
        crl=CRLConfig(delta=True), ocsp=OCSPConfig(signer_key="memory:object={name}")
    )
    made = make_world(request.param, config=config)
    made.name = f"{request.param}-issuing"
    return made


def test_every_crl(world: World):
    lint_crl(world.schedule.current(world.name).der)
    lint_crl(world.schedule.current_delta(world.name).der)
    world.partition(world.name, 2)
    issued = [world.issue(world.name) for _ in range(6)]
    for one in issued[:4]:
        world.revocation.hold(world.name, one.serial, actor="tester")
    world.schedule.refresh()
    world.clock.advance(seconds=1)
    world.revocation.release(world.name, issued[0].serial, actor="tester")
    world.revoke(issued[1], RevocationReason.UNSPECIFIED)
    world.revoke(issued[4], RevocationReason.PRIVILEGE_WITHDRAWN)
    for scope in world.schedule.scopes(world.name):
        lint_crl(world.schedule.current(scope.name).der)
        lint_crl(world.schedule.current_delta(scope.name).der)


def test_every_answer(world: World):
    issuer = world.issuers[world.name]
    good, revoked, plain, held, short = (world.issue(world.name, days=2) for _ in range(5))
    world.revoke(revoked)
    world.revoke(plain, RevocationReason.UNSPECIFIED)
    world.revocation.hold(world.name, held.serial, actor="tester")
    asked = [cert_id(issuer, one.serial) for one in (good, revoked, plain, held)]
    asked += [cert_id(issuer, 5), cert_id(issuer, good.serial, "sha256")]
    asked.append(cert_id(issuer, good.serial, "sm3", null=False))
    for one in asked:
        lint_ocsp(world.responder.answer(request(one)).der)
    lint_ocsp(world.responder.answer(request(*asked)).der)
    fresh = request(asked[0], extensions=(nonce(b"0123456789abcdef"),))
    lint_ocsp(world.responder.answer(fresh).der)
    world.clock.advance(days=2)
    lint_ocsp(world.responder.answer(request(cert_id(issuer, short.serial))).der)


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal(refusal: Refusal):
    lint_ocsp(encode_refusal(refusal))


def test_the_judge_says_no_to_a_crl_with_a_fault(make_world):
    record = make_world("ec").schedule.current("ec-issuing")
    # Version 2 is required with extensions (RFC 5280, 5.1.2.1).
    at = record.der.index(bytes.fromhex("020101"))
    broken = record.der[:at] + bytes.fromhex("020100") + record.der[at + 3 :]
    with pytest.raises(JudgeSaysNo):
        lint_crl(broken)
