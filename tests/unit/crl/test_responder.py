"""One OCSP request, one answer: the traps of the standard, each by its name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ca.reasons import RevocationReason
from ca.store import CertificateQuery
from core import der
from core.errors import (
    BackendUnavailable,
    InvalidSignature,
    Malformed,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
)
from crl.config import OCSPConfig, RevocationConfig
from crl.ocsp.responder import refusal_of
from crl.ocsp.response import Refusal, encode_refusal
from keystore.verify import verify_signature
from tests.unit.crl.requests import HASHES, cert_id, cert_id_of, nonce, request
from tests.unit.crl.world import World

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
UNKNOWN = ocsp.OCSPCertStatus.UNKNOWN


def with_ocsp(**options) -> RevocationConfig:
    return RevocationConfig(ocsp=OCSPConfig(signer_key="memory:object={name}", **options))


def ask(world: World, issued, digest: str = "sha1") -> ocsp.OCSPResponse:
    issuer = world.issuers[issued.issuer]
    answer = world.responder.answer(request(cert_id(issuer, issued.serial, digest)))
    return ocsp.load_der_ocsp_response(answer.der)


@pytest.mark.parametrize("family", ["sm2", "rsa", "ec", "ed25519"])
def test_good_then_revoked_in_the_very_next_answer(make_world, family: str):
    world = make_world(family)
    issued = world.issue(f"{family}-issuing")
    assert ask(world, issued).certificate_status is GOOD
    assert ask(world, issued).certificate_status is GOOD
    world.clock.advance(seconds=30)
    world.revoke(issued, RevocationReason.SUPERSEDED)
    response = ask(world, issued)
    assert response.certificate_status is REVOKED
    assert response.revocation_time_utc == world.clock.now()
    assert response.revocation_reason is x509.ReasonFlags.superseded


@pytest.mark.parametrize("family", ["sm2", "rsa", "ec", "ed25519"])
def test_the_signature_verifies_under_the_embedded_certificate_of_the_same_issuer(
    make_world, family: str
):
    world = make_world(family)
    issued = world.issue(f"{family}-issuing")
    response = ask(world, issued)
    (certificate,) = response.certificates
    record = world.crl_store.list_delegates(f"{family}-issuing")[0]
    assert certificate.public_bytes(Encoding.DER) == record.certificate
    assert certificate.issuer.public_bytes() == world.issuers[f"{family}-issuing"].subject
    spki = world.keystore.find(record.key).public_key
    verify_signature(spki, record.algorithm, response.tbs_response_bytes, response.signature)
    with pytest.raises(InvalidSignature):
        verify_signature(
            spki, record.algorithm, response.tbs_response_bytes + b"\x00", response.signature
        )


def test_the_delegated_certificate_has_ocsp_signing_and_nocheck(world: World):
    (certificate,) = ask(world, world.issue("ec-issuing")).certificates
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
    certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)


def test_an_sm2_answer_names_its_algorithm_without_parameters(make_world):
    world = make_world("sm2")
    issued = world.issue("sm2-issuing")
    answer = world.responder.answer(request(cert_id(world.issuers["sm2-issuing"], issued.serial)))
    assert bytes.fromhex("300a06082a811ccf55018375") in answer.der
    assert bytes.fromhex("06082a811ccf550183750500") not in answer.der


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("digest", HASHES)
def test_the_answer_repeats_the_cert_id_that_was_asked(world: World, digest: str, null: bool):
    issued = world.issue("ec-issuing")
    asked = cert_id(world.issuers["ec-issuing"], issued.serial, digest, null=null)
    assert asked in world.responder.answer(request(asked)).der


def test_the_responder_is_named_by_the_sha1_of_its_key_whatever_the_cert_id_uses(world: World):
    response = ask(world, world.issue("ec-issuing"), "sha256")
    (certificate,) = response.certificates
    digest = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    assert response.responder_key_hash == digest
    assert response.responder_name is None


def test_the_issuer_is_found_by_name_and_key_together(make_world):
    world = make_world("ec", "rsa")
    issued = world.issue("ec-issuing")
    ours, other = world.issuers["ec-issuing"], world.issuers["rsa-issuing"]
    for name, key in (
        (ours.subject, other.public_key_bits),  # re-keyed: same name, new key
        (other.subject, ours.public_key_bits),  # same key, new name
    ):
        with pytest.raises(NotFound):
            world.responder.answer(request(cert_id_of(name, key, issued.serial)))
    same_serial = cert_id_of(other.subject, other.public_key_bits, issued.serial)
    answer = world.responder.answer(request(same_serial))
    assert ocsp.load_der_ocsp_response(answer.der).certificate_status is UNKNOWN


def test_the_subject_key_identifier_is_not_the_key_hash(world: World):
    # Here both are SHA-1 of the key, so the difference shows with SHA-256 only.
    issuer, issued = world.issuers["ec-issuing"], world.issue("ec-issuing")
    good = cert_id(issuer, issued.serial, "sha256")
    assert world.responder.answer(request(good)).der
    identifier = (
        x509.load_der_x509_certificate(issuer.certificate)
        .extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        .value.digest
    )
    by_ski = good[: -len(der.encode(issued.serial)) - 32 - 2]
    wrong = der.sequence(by_ski[2:] + der.encode(identifier) + der.encode(issued.serial))
    with pytest.raises(NotFound):
        world.responder.answer(request(wrong))


@pytest.mark.parametrize("serial", [0, 1, -1, (1 << 159) - 1, 1 << 159, 1 << 300])
def test_a_serial_that_was_never_issued_is_unknown_and_cached_nowhere(world: World, serial: int):
    asked = cert_id(world.issuers["ec-issuing"], serial)
    answer = world.responder.answer(request(asked))
    assert asked in answer.der
    response = ocsp.load_der_ocsp_response(answer.der)
    assert response.certificate_status is UNKNOWN
    # Another node may be issuing that number at this moment.
    assert not answer.cacheable
    assert answer.next_update <= world.clock.now() + timedelta(minutes=5)


def test_guessed_serials_cost_no_more_signatures_than_their_budget(make_world):
    world = make_world("ec", config=with_ocsp(unknown_per_second=3))
    issuer, issued = world.issuers["ec-issuing"], world.issue("ec-issuing")
    before, refused = len(world.keystore.signed), 0
    for serial in range(1, 60):
        try:
            world.responder.answer(request(cert_id(issuer, serial)))
        except NotFound:
            refused += 1
    assert len(world.keystore.signed) - before + refused == 59
    assert refused > 40
    assert ask(world, issued).certificate_status is GOOD


def test_without_a_budget_a_guessed_serial_is_unauthorized(make_world):
    world = make_world("ec", config=with_ocsp(unknown_per_second=0))
    with pytest.raises(NotFound):
        world.responder.answer(request(cert_id(world.issuers["ec-issuing"], 5)))


def test_a_serial_is_not_ours_because_it_agrees_in_the_low_octets(world: World):
    issued = world.issue("ec-issuing")
    for near in (issued.serial + (1 << 159), issued.serial - (1 << 160), issued.serial >> 8):
        answer = world.responder.answer(request(cert_id(world.issuers["ec-issuing"], near)))
        assert ocsp.load_der_ocsp_response(answer.der).certificate_status is UNKNOWN


def test_an_attempt_that_failed_is_never_good(world: World):
    world.keystore.broken = True
    with pytest.raises(BackendUnavailable):
        world.issue("ec-issuing")
    world.keystore.broken = False
    (record,) = [
        record
        for record in world.store.search_certificates(
            CertificateQuery(issuer="ec-issuing", profile="device")
        ).items
        if record.state == "failed"
    ]
    with pytest.raises(NotFound):
        world.responder.answer(request(cert_id(world.issuers["ec-issuing"], record.serial)))


def test_a_ca_certificate_is_answered_for_by_its_parent(world: World):
    certificate = x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate)
    root = world.issuers["ec-root"]
    answer = world.responder.answer(request(cert_id(root, certificate.serial_number)))
    response = ocsp.load_der_ocsp_response(answer.der)
    assert response.certificate_status is GOOD
    assert response.certificates[0].issuer.public_bytes() == root.subject
    itself = cert_id(world.issuers["ec-issuing"], certificate.serial_number)
    response = ocsp.load_der_ocsp_response(world.responder.answer(request(itself)).der)
    assert response.certificate_status is UNKNOWN


def test_several_cert_ids_of_one_issuer_are_answered_in_the_order_asked(world: World):
    first, second = world.issue("ec-issuing", "a.example.cn"), world.issue("ec-issuing")
    world.revoke(second)
    issuer = world.issuers["ec-issuing"]
    asked = [cert_id(issuer, first.serial), cert_id(issuer, second.serial, "sha256")]
    answer = world.responder.answer(request(*asked))
    assert not answer.cacheable
    responses = list(ocsp.load_der_ocsp_response(answer.der).responses)
    assert [one.certificate_status for one in responses] == [GOOD, REVOKED]
    assert [one.serial_number for one in responses] == [first.serial, second.serial]


def test_cert_ids_of_two_issuers_cannot_share_one_answer(world: World):
    issued = world.issue("ec-issuing")
    intermediate = x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate)
    with pytest.raises(NotFound):
        world.responder.answer(
            request(
                cert_id(world.issuers["ec-issuing"], issued.serial),
                cert_id(world.issuers["ec-root"], intermediate.serial_number),
            )
        )


def test_a_nonce_is_repeated_and_the_answer_belongs_to_this_asker_only(world: World):
    issued = world.issue("ec-issuing")
    asked = cert_id(world.issuers["ec-issuing"], issued.serial)
    answer = world.responder.answer(request(asked, extensions=(nonce(b"0123456789abcdef"),)))
    response = ocsp.load_der_ocsp_response(answer.der)
    assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == (
        b"0123456789abcdef"
    )
    assert not answer.cacheable
    plain = ocsp.load_der_ocsp_response(world.responder.answer(request(asked)).der)
    assert len(plain.extensions) == 0


def test_above_the_budget_a_nonce_is_left_out(make_world):
    world = make_world("ec", config=with_ocsp(nonces_per_second=1))
    asked = cert_id(world.issuers["ec-issuing"], world.issue("ec-issuing").serial)
    answers = [
        world.responder.answer(request(asked, extensions=(nonce(b"%016d" % at),)))
        for at in range(20)
    ]
    echoed = [answer for answer in answers if not answer.cacheable]
    assert 1 <= len(echoed) < 5


def test_a_nonce_is_ignored_where_every_answer_is_to_be_cached(make_world):
    world = make_world("ec", config=with_ocsp(nonce="ignore"))
    asked = cert_id(world.issuers["ec-issuing"], world.issue("ec-issuing").serial)
    answer = world.responder.answer(request(asked, extensions=(nonce(b"0123456789abcdef"),)))
    assert answer.cacheable
    assert len(ocsp.load_der_ocsp_response(answer.der).extensions) == 0


def test_where_a_nonce_is_required_nothing_is_answered_without_one(make_world):
    world = make_world("ec", config=with_ocsp(nonce="require", nonces_per_second=1))
    asked = cert_id(world.issuers["ec-issuing"], world.issue("ec-issuing").serial)
    with pytest.raises(NotFound, match="nonce"):
        world.responder.answer(request(asked))
    with_nonce = request(asked, extensions=(nonce(b"0123456789abcdef"),))
    assert not world.responder.answer(with_nonce).cacheable
    with pytest.raises(Unavailable):
        world.responder.answer(with_nonce)


def test_unspecified_is_said_by_leaving_the_reason_out(world: World):
    issued = world.issue("ec-issuing")
    world.revoke(issued, RevocationReason.UNSPECIFIED)
    response = ask(world, issued)
    assert response.certificate_status is REVOKED
    assert response.revocation_reason is None
    assert len(response.single_extensions) == 0


def test_hold_is_revoked_and_release_is_good_again(world: World):
    issued = world.issue("ec-issuing")
    world.revocation.hold("ec-issuing", issued.serial, actor="tester")
    response = ask(world, issued)
    assert response.certificate_status is REVOKED
    assert response.revocation_reason is x509.ReasonFlags.certificate_hold
    world.clock.advance(seconds=5)
    world.revocation.release("ec-issuing", issued.serial, actor="tester")
    world.clock.advance(seconds=5)
    good = ask(world, issued)
    assert good.certificate_status is GOOD
    # Backdating must not reach behind the release: the certificate was on hold a moment before.
    assert good.this_update_utc == world.clock.now() - timedelta(seconds=5)


def test_times_are_in_the_order_that_clients_check(world: World):
    issued = world.issue("ec-issuing")
    response = ask(world, issued)
    now = world.clock.now()
    assert response.produced_at_utc == now
    assert response.this_update_utc == now - timedelta(seconds=60)
    assert response.next_update_utc == response.this_update_utc + timedelta(hours=24)
    world.clock.advance(seconds=10)
    world.revoke(issued)
    world.clock.advance(seconds=10)
    revoked = ask(world, issued)
    # Backdating must not reach behind the revocation that the answer reports.
    assert revoked.this_update_utc == revoked.revocation_time_utc
    assert revoked.this_update_utc <= revoked.produced_at_utc == world.clock.now()


def test_next_update_does_not_outlive_the_certificate_of_the_responder(world: World):
    issued = world.issue("ec-issuing")
    (record,) = world.crl_store.list_delegates("ec-issuing")
    world.clock.advance(seconds=(record.not_after - world.clock.now()).total_seconds() - 600)
    assert ask(world, issued).next_update_utc == record.not_after


def test_without_a_valid_delegated_responder_nothing_is_answered(world: World):
    issued = world.issue("ec-issuing")
    ask(world, issued)
    world.clock.advance(days=31)
    with pytest.raises(Unavailable):
        ask(world, issued)


def test_answers_of_a_replaced_responder_are_used_no_more(world: World):
    issued = world.issue("ec-issuing")
    before = ask(world, issued)
    (record,) = world.crl_store.list_delegates("ec-issuing")
    world.revocation.revoke(
        "ec-issuing", record.serial, RevocationReason.KEY_COMPROMISE, actor="tester"
    )
    world.ensure_delegate("ec-issuing")
    world.clock.advance(seconds=60)
    after = ask(world, issued)
    assert after.certificates[0] != before.certificates[0]


def test_an_expired_certificate_is_answered_for_until_the_retention_ends(world: World):
    issued = world.issue("ec-issuing", days=1)
    world.clock.advance(days=1, minutes=30)
    response = ask(world, issued)
    assert response.certificate_status is GOOD
    # RFC 6960, 4.4.4: archiveCutoff is producedAt less the retention.
    (archived,) = response.single_extensions
    assert archived.oid.dotted_string == "1.3.6.1.5.5.7.48.1.6"
    assert (
        archived.value.value
        == b"\x18\x0f" + f"{world.clock.now() - timedelta(hours=1):%Y%m%d%H%M%SZ}".encode()
    )
    world.clock.advance(minutes=31)
    with pytest.raises(NotFound):
        ask(world, issued)


def test_a_clock_that_went_back_signs_nothing(world: World):
    issuer, issued = world.issuers["ec-issuing"], world.issue("ec-issuing")
    asked = request(cert_id(issuer, issued.serial))
    world.clock.advance(hours=1)
    world.responder.answer(asked)
    world.clock.advance(seconds=-60)
    world.responder.answer(asked)
    world.clock.advance(seconds=-1)
    with pytest.raises(Unavailable, match="clock"):
        world.responder.answer(asked)
    world.clock.advance(seconds=61)
    world.responder.answer(asked)


@pytest.mark.parametrize(
    ("error", "octets"),
    [
        (Malformed("x"), "30030a0101"),
        (TooLarge("x"), "30030a0101"),
        (Refused("x"), "30030a0102"),
        (BackendUnavailable("x"), "30030a0103"),
        (NotFound("x"), "30030a0106"),
    ],
)
def test_each_error_has_its_five_octets(error, octets: str):
    assert encode_refusal(refusal_of(error)).hex() == octets
    assert refusal_of(error) in Refusal
