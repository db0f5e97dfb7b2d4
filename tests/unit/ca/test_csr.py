from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ca.altnames import parse_alternative_name
from ca.csr import MAX_CSR_OCTETS, parse_csr
from core import der
from core.der import public_key_bits
from core.errors import InvalidSignature, Malformed, Refused, TooLarge, TrustError
from keystore import sm2
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import memory_key
from tests.unit.ca.csrs import extension_request, make_csr, pem

ALGORITHMS = [
    KeyAlgorithm.SM2,
    KeyAlgorithm.RSA_2048,
    KeyAlgorithm.EC_P256,
    KeyAlgorithm.EC_P384,
    KeyAlgorithm.ED25519,
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_request_gives_key_subject_and_names(algorithm: KeyAlgorithm) -> None:
    names = ("dns:a.example.test", "ip:192.0.2.7", "email:a@example.test", "uri:https://a.test/x")
    csr = parse_csr(make_csr(algorithm, names=names))
    assert csr.spki == memory_key(algorithm).key.public_key
    assert csr.subject == (("C", "CN"), ("CN", "gateway.example.test"))
    assert csr.alternative_names == tuple(parse_alternative_name(name) for name in names)


@pytest.mark.parametrize("label", ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"])
def test_pem_and_der_are_the_same_request(label: str) -> None:
    octets = make_csr()
    assert parse_csr(pem(octets, label)) == parse_csr(octets)


def test_a_changed_request_has_no_proof_of_possession() -> None:
    octets = make_csr()
    with pytest.raises(InvalidSignature, match="does not verify under its own public key"):
        parse_csr(octets.replace(b"gateway", b"gatewaz"))


def openssl_request(directory: Path, *options: str) -> bytes:
    subprocess.run(
        "openssl req -new -sm3 -newkey sm2 -nodes -keyout k.pem -out csr.pem "
        f"-subj /C=CN/CN=gw.example.test {' '.join(options)}".split(),
        cwd=directory,
        check=True,
        capture_output=True,
    )
    return (directory / "csr.pem").read_bytes()


@pytest.mark.openssl
def test_openssl_signing_with_the_empty_sm2_id_is_told_how_to_do_it_right(tmp_path: Path) -> None:
    octets = openssl_request(tmp_path, "-sigopt", "distid:")
    with pytest.raises(Refused, match="-sigopt distid:1234567812345678"):
        parse_csr(octets)
    assert parse_csr(octets, accept_empty_sm2_id=True).subject[1] == ("CN", "gw.example.test")


@pytest.mark.openssl
def test_openssl_signing_with_the_standard_sm2_id_is_taken(tmp_path: Path) -> None:
    octets = openssl_request(tmp_path, "-sigopt", "distid:1234567812345678")
    assert parse_csr(octets).subject == (("C", "CN"), ("CN", "gw.example.test"))


def test_the_empty_id_switch_does_not_accept_a_broken_signature() -> None:
    with pytest.raises(InvalidSignature):
        parse_csr(make_csr().replace(b"gateway", b"gatewaz"), accept_empty_sm2_id=True)


@pytest.mark.parametrize(
    ("octets", "error", "words"),
    [
        (b"", Malformed, "not valid DER"),
        (b"\x30\x00", Malformed, "not valid DER"),
        (b"x" * (MAX_CSR_OCTETS + 1), TooLarge, "longer than 65536"),
        (pem(make_csr()) * 2, Malformed, "one PEM block"),
        (pem(make_csr()) + b"trailing", Malformed, "one PEM block"),
        (make_csr() + b"\x00", Malformed, "not valid DER"),
        (make_csr(version=b"\x02\x01\x01"), Malformed, "version 1"),
        (make_csr(attributes=extension_request(("dns:a.test",)) * 2), Malformed, "DER|several"),
        (
            make_csr(attributes=extension_request(("dns:a.test",)).replace(b"\x82", b"\x88")),
            Refused,
            "kind of name",
        ),
    ],
)
def test_what_is_not_a_good_request_is_refused(
    octets: bytes, error: type[TrustError], words: str
) -> None:
    with pytest.raises(error, match=words):
        parse_csr(octets)


def test_an_attribute_with_a_bare_string_is_passed_over() -> None:
    # CFCA's clients write challengePassword without the SET.
    challenge = der.sequence(bytes.fromhex("06092a864886f70d010907"), b"\x13\x03abc")
    assert parse_csr(make_csr(attributes=challenge)).alternative_names == ()


def test_a_request_without_the_attributes_field_is_taken() -> None:
    signer = memory_key(KeyAlgorithm.EC_P256)
    with_field = der.split_signed(make_csr(KeyAlgorithm.EC_P256), what="csr")[0]
    body = with_field[2:-2] if with_field[1] < 0x80 else with_field[3:-2]
    info = der.sequence(body)
    octets = der.signed_object(info, signer.algorithm.identifier, signer.sign(info))
    assert parse_csr(octets).spki == signer.key.public_key


# ---- CFCA's double request ----------------------------------------------------------------------

TEMPORARY = bytes.fromhex("06092a864886f70d01093f")
POINT = public_key_bits(memory_key(KeyAlgorithm.SM2).key.public_key)
OTHER = sm2.PrivateKey.from_scalar(7)


def temporary_key(
    point: bytes, *, prefix: str = "00b4000000010000", gap: bytes = bytes(32)
) -> bytes:
    octets = bytes.fromhex(prefix) + point[1:33] + gap + point[33:] + bytes(32)
    inner = der.sequence(der.encode(1), der.encode(octets))
    return der.sequence(TEMPORARY, der.encode(inner))


def test_a_temporary_key_is_read_and_may_stand_unsorted() -> None:
    point = public_key_bits(OTHER.public_key)
    password = der.sequence(bytes.fromhex("06092a864886f70d010907"), b"\x13\x06111111")
    csr = parse_csr(make_csr(attributes=temporary_key(point) + password))
    assert csr.temporary_key == OTHER.public_key
    assert parse_csr(make_csr(attributes=password)).temporary_key is None


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (temporary_key(POINT), "must not be the key that is certified"),
        (temporary_key(b"\x04" + bytes(64)), "not on the curve"),
        (temporary_key(POINT, prefix="00b4000000010001"), "as CFCA has them"),
        (temporary_key(POINT, gap=b"\x01" * 32), "as CFCA has them"),
        (temporary_key(POINT, gap=b""), "as CFCA has them"),
        (temporary_key(POINT) * 2, "several tempPublicKey"),
        (der.sequence(TEMPORARY, der.wrap(der.SET, b"")), "tempPublicKey is not valid DER"),
    ],
)
def test_a_temporary_key_of_another_form_is_refused(attributes: bytes, words: str) -> None:
    with pytest.raises((Malformed, Refused), match=words):
        parse_csr(make_csr(attributes=attributes))


def test_a_temporary_key_beside_an_rsa_key_is_refused() -> None:
    attributes = temporary_key(public_key_bits(OTHER.public_key))
    with pytest.raises(Refused, match="SM2 keys only"):
        parse_csr(make_csr(KeyAlgorithm.RSA_2048, attributes=attributes))
