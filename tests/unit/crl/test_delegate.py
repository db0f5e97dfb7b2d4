"""Delegated responders: made, renewed at half of their life, and followed by every node."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from ca.issuer import Issuer
from ca.reasons import RevocationReason
from core.errors import AuditUnavailable, BackendUnavailable, Unavailable
from crl.config import OCSPConfig, RevocationConfig
from crl.ocsp.delegate import Delegates, ensure_delegates
from crl.ocsp.export import request_for
from crl.ocsp.retirement import destroy_ended
from keystore.algorithms import KeyAlgorithm
from tests.unit.crl.world import World


def test_the_same_one_is_used_until_half_of_its_life(world: World):
    first = world.ensure_delegate("ec-issuing")
    assert world.ensure_delegate("ec-issuing") == first
    world.clock.advance(days=14)
    assert world.ensure_delegate("ec-issuing") == first
    world.clock.advance(days=1)
    second = world.ensure_delegate("ec-issuing")
    assert second.serial != first.serial
    assert second.key != first.key


def test_a_new_one_is_used_by_a_running_responder_within_a_minute(world: World):
    delegates = Delegates(world.crl_store, world.store, world.keystore)
    issuer = world.issuers["ec-issuing"]
    first = delegates.current(issuer, world.clock.now())
    world.clock.advance(days=15)
    delegates.current(issuer, world.clock.now())
    record = world.ensure_delegate("ec-issuing")
    assert delegates.current(issuer, world.clock.now()).certificate == first.certificate
    world.clock.advance(seconds=60)
    assert delegates.current(issuer, world.clock.now()).certificate == record.certificate


def test_a_revoked_one_is_replaced_and_used_no_more(world: World):
    first = world.ensure_delegate("ec-issuing")
    world.revocation.revoke(
        "ec-issuing", first.serial, RevocationReason.KEY_COMPROMISE, actor="tester"
    )
    delegates = Delegates(world.crl_store, world.store, world.keystore)
    with pytest.raises(Unavailable):
        delegates.current(world.issuers["ec-issuing"], world.clock.now())
    second = world.ensure_delegate("ec-issuing")
    current = delegates.current(world.issuers["ec-issuing"], world.clock.now())
    assert current.certificate == second.certificate


@pytest.mark.parametrize(
    ("family", "algorithm"),
    [("sm2", KeyAlgorithm.SM2), ("rsa", KeyAlgorithm.EC_P256), ("ec", KeyAlgorithm.EC_P256)],
)
def test_the_key_is_of_the_kind_that_clients_of_the_issuer_take(
    make_world, family: str, algorithm: KeyAlgorithm
):
    world = make_world(family)
    record = world.ensure_delegate(f"{family}-issuing")
    assert world.keystore.find(record.key).algorithm is algorithm
    assert record.algorithm is algorithm.default_signature


def test_near_the_end_of_the_issuer_it_is_not_renewed_over_and_over(world: World):
    certificate = x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate)
    left = (certificate.not_valid_after_utc - world.clock.now()).total_seconds()
    world.clock.advance(seconds=left - 86400)
    last = world.ensure_delegate("ec-issuing")
    assert last.not_after == certificate.not_valid_after_utc
    world.clock.advance(hours=20)
    assert world.ensure_delegate("ec-issuing") == last


def test_its_activation_is_audited_or_does_not_happen(world: World):
    assert "delegate.activated" in world.audit.actions
    world.clock.advance(days=20)
    world.audit.broken = True
    before = world.crl_store.list_delegates("ec-issuing")
    with pytest.raises(AuditUnavailable):
        world.ensure_delegate("ec-issuing")
    assert world.crl_store.list_delegates("ec-issuing") == before


def test_one_issuer_whose_key_is_away_is_reported_after_the_others_were_done(world: World):
    done = []

    def ensure(issuer: Issuer) -> None:
        if issuer.name == "ec-root":
            raise BackendUnavailable("the token is in the safe")
        done.append(issuer.name)

    with pytest.raises(BackendUnavailable):
        ensure_delegates(world.issuers.values(), ensure)
    assert done == ["ec-issuing"]


def test_the_key_of_one_that_ended_is_destroyed_and_audited(world: World):
    def retire() -> None:
        destroy_ended(
            store=world.crl_store,
            destroy=world.keystore.destroy,
            transactions=world.database,
            audit=world.audit,
            clock=world.clock,
        )

    (first,) = world.crl_store.list_delegates("ec-issuing")
    world.clock.advance(days=15)
    second = world.ensure_delegate("ec-issuing")
    world.clock.advance(days=15, hours=23)
    retire()
    assert world.keystore.find(first.key) is not None
    world.clock.advance(hours=2)
    world.audit.broken = True
    retire()
    assert world.keystore.find(first.key) is not None
    world.audit.broken = False
    retire()
    assert world.keystore.find(first.key) is None
    assert world.keystore.find(second.key) is not None
    assert world.crl_store.list_delegates("ec-issuing") == [second]
    # The root's went with it.
    assert world.audit.actions.count("delegate.destroyed") == 2
    retire()
    assert world.audit.actions.count("delegate.destroyed") == 2


def test_a_key_that_is_not_destroyed_is_tried_again(world: World):
    def refuse(_: object) -> None:
        raise BackendUnavailable("the token is in the safe")

    world.clock.advance(days=40)
    options = {
        "store": world.crl_store,
        "transactions": world.database,
        "audit": world.audit,
        "clock": world.clock,
    }
    destroy_ended(destroy=refuse, **options)
    assert len(world.crl_store.list_ended(world.clock.now())) == 2
    destroy_ended(destroy=world.keystore.destroy, **options)
    assert world.crl_store.list_ended(world.clock.now()) == []


def test_an_issuer_that_is_named_signs_its_answers_itself(make_world) -> None:
    config = RevocationConfig(
        ocsp=OCSPConfig(signer_key="memory:object={name}", direct_issuers=frozenset({"ec-issuing"}))
    )
    world = make_world("ec", config=config)
    issuing, root = world.issuers["ec-issuing"], world.issuers["ec-root"]
    signers, now = world.make_signers(), world.clock.now()
    issued = world.issue("ec-issuing")
    assert signers.current(root, now).certificate != root.certificate
    answer = world.responder.answer(request_for(issuing, issued.serial))
    read = ocsp.load_der_ocsp_response(answer.der)
    own = x509.load_der_x509_certificate(issuing.certificate)
    # Go takes an embedded certificate for a delegate's, which the CA must have signed.
    assert read.certificates == []
    assert read.responder_name == own.subject
    key = own.public_key()
    key.verify(read.signature, read.tbs_response_bytes, ec.ECDSA(read.signature_hash_algorithm))
    assert answer.until <= own.not_valid_after_utc
    with pytest.raises(Unavailable, match="has ended"):
        signers.current(issuing, own.not_valid_after_utc)
    del world.issuers["ec-issuing"]
    with pytest.raises(Unavailable, match="is not here"):
        signers.current(issuing, now)
