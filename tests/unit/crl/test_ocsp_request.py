"""The strict parser of OCSP requests (RFC 6960, 4.1; RFC 9654)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from core import der
from core.errors import Malformed, TooLarge
from crl.ocsp.request import parse_request
from keystore.algorithms import Digest
from tests.unit.crl.requests import HASHES, cert_id_of, extension, nonce, request

NAME = bytes.fromhex("300e310c300a06035504030c0374776f")
KEY = b"\x04" + bytes(64)
CERT_ID = cert_id_of(NAME, KEY, 77)
UNKNOWN = "1.2.3.4"


def test_the_cert_id_is_kept_octet_for_octet():
    parsed = parse_request(request(CERT_ID))
    assert [one.der for one in parsed.cert_ids] == [CERT_ID]
    assert parsed.cert_ids[0].serial == 77
    assert parsed.nonce is None


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("digest", HASHES)
def test_every_hash_is_known_with_null_and_with_absent_parameters(digest: str, null: bool):
    parsed = parse_request(request(cert_id_of(NAME, KEY, 1, digest, null=null)))
    assert parsed.cert_ids[0].digest == Digest(digest)


def test_an_unknown_hash_is_no_parse_error():
    odd = CERT_ID.replace(bytes.fromhex("06052b0e03021a"), bytes.fromhex("06052b0e03021b"))
    assert parse_request(request(odd)).cert_ids[0].digest is None


@pytest.mark.parametrize("serial", [0, -1, 1 << 159, 1 << 400])
def test_serials_that_no_certificate_has_are_parsed_and_left_to_the_status(serial: int):
    assert parse_request(request(cert_id_of(NAME, KEY, serial))).cert_ids[0].serial == serial


def test_a_serial_with_a_leading_zero_octet_too_many_is_malformed():
    assert CERT_ID.endswith(bytes.fromhex("02014d"))
    padded = der.sequence(CERT_ID[2:-3] + bytes.fromhex("0202004d"))
    with pytest.raises(Malformed, match="CertID"):
        parse_request(request(padded))


def test_one_to_eight_cert_ids_are_taken():
    assert len(parse_request(request(*[CERT_ID] * 8)).cert_ids) == 8
    for count in (0, 9):
        with pytest.raises(Malformed):
            parse_request(request(*[CERT_ID] * count))


@pytest.mark.parametrize("octets", [1, 15, 16, 23, 32, 33, 128])
def test_nonces_of_1_to_128_octets_are_taken(octets: int):
    value = b"n" * octets
    parsed = parse_request(request(CERT_ID, extensions=(nonce(value),)))
    assert parsed.nonce == der.encode(value)


@pytest.mark.parametrize("octets", [0, 129, 200])
def test_other_nonces_are_malformed(octets: int):
    with pytest.raises(Malformed, match="nonce"):
        parse_request(request(CERT_ID, extensions=(nonce(b"n" * octets),)))


def test_a_nonce_that_is_not_an_octet_string_is_malformed():
    bare = extension("1.3.6.1.5.5.7.48.1.2", b"n" * 16)
    with pytest.raises(Malformed, match="nonce"):
        parse_request(request(CERT_ID, extensions=(bare,)))


def test_an_unknown_extension_is_ignored_unless_it_is_critical():
    parse_request(request(CERT_ID, extensions=(extension(UNKNOWN, b"x"),)))
    parse_request(request(CERT_ID, single_extensions=(extension(UNKNOWN, b"x"),)))
    critical = (extension(UNKNOWN, b"x", critical=True),)
    for place in ("extensions", "single_extensions"):
        with pytest.raises(Malformed, match="critical"):
            parse_request(request(CERT_ID, **{place: critical}))


@pytest.mark.parametrize("last", [2, 4, 7, 8])
def test_extensions_of_the_standard_may_be_critical(last: int):
    known = extension(f"1.3.6.1.5.5.7.48.1.{last}", der.encode(b"0123456789abcdef"), critical=True)
    parse_request(request(CERT_ID, extensions=(known,)))


def test_an_extension_twice_is_malformed():
    with pytest.raises(Malformed, match="twice"):
        parse_request(request(CERT_ID, extensions=(nonce(b"a" * 16), nonce(b"b" * 16))))


def test_requestor_name_and_signature_are_accepted_and_mean_nothing():
    requestor = der.explicit(1, der.explicit(4, NAME))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    signature = der.explicit(
        0, der.sequence(algorithm, bytes.fromhex("030300aabb"), der.explicit(0, der.sequence(NAME)))
    )
    parsed = parse_request(request(CERT_ID, before=requestor, signature=signature))
    assert parsed.cert_ids[0].der == CERT_ID


@pytest.mark.parametrize("version", [0, 1])
def test_a_version_is_malformed_because_the_only_one_is_the_default(version: int):
    with pytest.raises(Malformed):
        parse_request(request(CERT_ID, before=der.explicit(0, der.encode(version))))


def test_octets_that_are_no_request_are_malformed():
    good = request(CERT_ID, extensions=(nonce(b"n" * 16),))
    indefinite = b"\x30\x80" + good[2:] + b"\x00\x00"
    for odd in (b"", good + b"\x00", good[:-1], indefinite, b"\x30\x00", b"\x30\x02\x30\x00"):
        with pytest.raises(Malformed):
            parse_request(odd)


def test_elements_that_do_not_belong_there_are_malformed():
    with pytest.raises(Malformed, match="does not belong"):
        parse_request(request(CERT_ID, after=der.NULL))
    with pytest.raises(Malformed):
        parse_request(request(CERT_ID, signature=der.NULL))


def test_more_than_4096_octets_are_too_large_and_never_parsed():
    with pytest.raises(TooLarge, match="4096"):
        parse_request(b"\x00" * 4097)


def test_what_another_implementation_builds_is_understood():
    built = (
        ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(b"n" * 20, b"k" * 20, (1 << 158) + 1, SHA1())
        .add_extension(x509.OCSPNonce(b"0123456789abcdef"), critical=False)
        .add_extension(x509.OCSPAcceptableResponses([x509.ObjectIdentifier(UNKNOWN)]), False)
        .build()
    )
    octets = built.public_bytes(Encoding.DER)
    parsed = parse_request(octets)
    (one,) = parsed.cert_ids
    assert (one.name_hash, one.key_hash) == (b"n" * 20, b"k" * 20)
    assert one.serial == (1 << 158) + 1
    assert parsed.nonce == der.encode(b"0123456789abcdef")
