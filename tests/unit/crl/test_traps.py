"""Traps that OCSP responders are known to fall into, and the test of each.

The table is checked: a test that is renamed or removed leaves a hole here. The other half of the
list, races and stores, is in the tests of the data plane and the local store.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import ocsp

from core import der
from keystore.algorithms import signature_algorithm
from keystore.verify import verify_signature
from tests.unit.crl.requests import cert_id, extension, request
from tests.unit.crl.world import PROFILES, World

TESTS = Path(__file__).parents[2]
RESPONDER, PATH = "unit/crl/test_responder.py", "unit/crl/test_ocsp_path.py"
PARSER, ROUTES = "unit/crl/test_ocsp_request.py", "unit/crl/test_routes.py"
STORE = "unit/crl/test_status_store.py"
PLANE, HERE = "integration/test_ocsp_plane.py", "unit/crl/test_traps.py"

TRAPS = {
    "another hash in the CertID than was asked": (
        f"{RESPONDER}::test_the_answer_repeats_the_cert_id_that_was_asked",
        f"{PARSER}::test_every_hash_is_known_with_null_and_with_absent_parameters",
    ),
    "found by the serial number alone": (
        f"{RESPONDER}::test_the_issuer_is_found_by_name_and_key_together",
    ),
    "the key hash taken for the subject key identifier": (
        f"{RESPONDER}::test_the_subject_key_identifier_is_not_the_key_hash",
    ),
    "serial numbers that are negative, zero, long, or have the high bit": (
        f"{RESPONDER}::test_a_serial_that_was_never_issued_is_unknown_and_cached_nowhere",
        f"{RESPONDER}::test_a_serial_is_not_ours_because_it_agrees_in_the_low_octets",
        f"{PARSER}::test_a_serial_with_a_leading_zero_octet_too_many_is_malformed",
        f"{HERE}::test_a_serial_with_the_high_bit_is_found_and_listed",
    ),
    "base64 in paths": (
        f"{PATH}::test_every_spelling_gives_the_same_octets",
        f"{ROUTES}::test_double_slashes_inside_base64_survive_the_routing",
    ),
    "bodies that are no request": (
        f"{ROUTES}::test_what_is_no_request_gets_the_five_octets_and_no_cache_keeps_them",
        f"{ROUTES}::test_a_body_of_a_megabyte_is_malformed",
        f"{ROUTES}::test_a_chunked_body_is_answered",
        f"{ROUTES}::test_post_is_answered_whatever_the_content_type_says",
    ),
    "dates that do not end in GMT": (f"{ROUTES}::test_every_date_is_in_gmt",),
    "errors that are cached, and successes that are not": (
        f"{ROUTES}::test_unauthorized_is_not_cached_because_the_certificate_may_be_issued_next",
        f"{ROUTES}::test_a_good_answer_may_be_cached_for_an_hour_and_validated",
    ),
    "thisUpdate after producedAt, or with fractions of a second": (
        f"{RESPONDER}::test_times_are_in_the_order_that_clients_check",
        f"{HERE}::test_times_have_no_fractions_and_keep_their_order",
    ),
    "byKey by another hash than SHA-1": (
        f"{RESPONDER}::test_the_responder_is_named_by_the_sha1_of_its_key_whatever_the_cert_id_uses",
    ),
    "a delegated certificate without nocheck or purpose, or of another CA": (
        f"{RESPONDER}::test_the_delegated_certificate_has_ocsp_signing_and_nocheck",
        f"{RESPONDER}::test_the_signature_verifies_under_the_embedded_certificate_of_the_same_issuer",
    ),
    "revoked after thisUpdate; a reason where there is none; hold for ever": (
        f"{RESPONDER}::test_times_are_in_the_order_that_clients_check",
        f"{RESPONDER}::test_unspecified_is_said_by_leaving_the_reason_out",
        f"{RESPONDER}::test_hold_is_revoked_and_release_is_good_again",
    ),
    "requests that carry more than the CertID": (
        f"{HERE}::test_what_nss_and_strongswan_add_does_not_change_the_answer",
    ),
    "NSS calls every failure revoked": (f"{HERE}::test_the_documents_warn_of_what_nss_says",),
    "SM2: identity, parameters, and CertIDs by SHA-1": (
        f"{RESPONDER}::test_an_sm2_answer_names_its_algorithm_without_parameters",
        f"{HERE}::test_an_sm2_answer_to_a_sha1_cert_id_verifies_with_the_standard_identity",
    ),
    "signatures of different lengths": (
        f"{HERE}::test_answers_are_whole_whatever_length_their_signature_has",
    ),
    "HTTP/1.0 that waits for us to close": (f"{PLANE}::test_http_1_0_is_closed_by_the_service",),
    "answers of a responder that was replaced or revoked": (
        f"{PLANE}::test_answers_of_a_revoked_responder_are_given_no_more",
    ),
    "races of revoking, issuing and signing": (
        f"{STORE}::test_a_good_that_was_read_before_the_revocation_does_not_come_in_after_it",
        f"{STORE}::test_a_certificate_is_known_as_soon_as_it_is_asked_about",
        f"{PLANE}::test_a_good_that_was_being_signed_during_the_revocation_is_not_kept",
        f"{PLANE}::test_under_load_no_question_asked_after_a_revocation_hears_good",
    ),
    "a restart behind the status log": (
        f"{STORE}::test_statuses_and_answers_are_there_again_after_a_restart",
        "integration/test_ocsp_node.py::test_without_the_database_a_node_goes_on_and_starts",
    ),
    "a clock that goes back": (
        f"{RESPONDER}::test_a_clock_that_went_back_signs_nothing",
        f"{STORE}::test_statuses_and_answers_are_there_again_after_a_restart",
    ),
    "a CA's own certificate, answered by itself": (
        f"{RESPONDER}::test_a_ca_certificate_is_answered_for_by_its_parent",
    ),
    "one name with two keys, one key with two names": (
        f"{RESPONDER}::test_the_issuer_is_found_by_name_and_key_together",
    ),
    "a view of the store that is never renewed": (
        f"{STORE}::test_a_reader_sees_each_change_at_once_and_holds_no_old_view",
    ),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_its_test(trap: str):
    for where in TRAPS[trap]:
        file, _, name = where.partition("::")
        assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8"), where


def test_a_serial_with_the_high_bit_is_found_and_listed(world: World):
    # 20 octets that begin with 7f: as large as they get, and one more octet would be a sign.
    serial = (1 << 159) - 1
    issuer = world.issuers["ec-issuing"]
    issued = world.issue_with_serial("ec-issuing", serial)
    answer = world.responder.answer(request(cert_id(issuer, serial)))
    (single,) = ocsp.load_der_ocsp_response(answer.der).responses
    assert single.serial_number == serial
    assert single.certificate_status is ocsp.OCSPCertStatus.GOOD
    world.revoke(issued)
    der_of_serial = b"\x02\x14\x7f" + b"\xff" * 19
    assert der_of_serial in world.schedule.current("ec-issuing").der
    # A short one with the high bit has an octet in front, in the answer and in the CRL.
    short = world.issue_with_serial("ec-issuing", 0x80 << 64)
    padded = b"\x02\x0a\x00\x80" + bytes(8)
    assert padded in world.responder.answer(request(cert_id(issuer, short.serial))).der
    world.revoke(short)
    assert padded in world.schedule.current("ec-issuing").der


def test_times_have_no_fractions_and_keep_their_order(world: World):
    issued = world.issue("ec-issuing")
    world.clock.advance(microseconds=999_999)
    world.revoke(issued)
    asked = request(cert_id(world.issuers["ec-issuing"], issued.serial))
    octets = world.responder.answer(asked).der
    response = ocsp.load_der_ocsp_response(octets)
    # Looked for as whole times: a serial number, a key's hash or a signature may have any octet.
    assert not re.search(rb"\x18.\d{14}\.", octets, re.DOTALL)
    times = (response.revocation_time_utc, response.this_update_utc, response.produced_at_utc)
    assert sorted(times) == list(times)
    assert all(moment.microsecond == 0 for moment in times)
    assert len(re.findall(rb"\x18\x0f\d{14}Z", octets)) == 4


def test_what_nss_and_strongswan_add_does_not_change_the_answer(world: World):
    asked = cert_id(world.issuers["ec-issuing"], world.issue("ec-issuing").serial)
    plain = world.responder.answer(request(asked))
    basic = der.sequence(der.encode(der.oid("1.3.6.1.5.5.7.48.1.1")))
    acceptable = extension("1.3.6.1.5.5.7.48.1.4", basic)
    again = world.responder.answer(request(asked, extensions=(acceptable,)))
    assert again.cacheable
    first, second = (ocsp.load_der_ocsp_response(one.der) for one in (plain, again))
    assert len(second.extensions) == 0
    assert first.certificate_status is second.certificate_status


def test_the_documents_warn_of_what_nss_says():
    said = (TESTS.parent / "docs" / "revocation.md").read_text(encoding="utf-8")
    assert "NSS" in said


def test_an_sm2_answer_to_a_sha1_cert_id_verifies_with_the_standard_identity(make_world):
    world = make_world("sm2")
    issued = world.issue("sm2-issuing")
    answer = world.responder.answer(request(cert_id(world.issuers["sm2-issuing"], issued.serial)))
    response = ocsp.load_der_ocsp_response(answer.der)
    (record,) = world.crl_store.list_delegates("sm2-issuing")
    spki = world.keystore.find(record.key).public_key
    tbs = response.tbs_response_bytes
    # `keystore.sm2` verifies with the identity 1234567812345678 and no other.
    algorithm = signature_algorithm(bytes.fromhex("300a06082a811ccf55018375"))
    verify_signature(spki, algorithm, tbs, response.signature)
    assert PROFILES["ocsp-signer"].sm2_parameters == "absent"


def test_answers_are_whole_whatever_length_their_signature_has(world: World):
    issuer, lengths = world.issuers["ec-issuing"], set()
    for _ in range(24):
        issued = world.issue("ec-issuing")
        answer = world.responder.answer(request(cert_id(issuer, issued.serial)))
        response = ocsp.load_der_ocsp_response(answer.der)
        lengths.add(len(response.signature))
        assert answer.der[:2] == b"\x30\x82"
        assert int.from_bytes(answer.der[2:4], "big") == len(answer.der) - 4
        assert answer.next_update - answer.this_update == timedelta(hours=24)
    assert lengths <= {68, 69, 70, 71, 72}
    assert len(lengths) > 1
