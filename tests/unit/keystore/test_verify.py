"""Verifying under a SubjectPublicKeyInfo: which keys are taken, and in which forms."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from core import der
from core.errors import InvalidSignature, Malformed, Refused
from keystore import sm2, sm2_forms, softkey, verify
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from tests.fakes.keys import memory_key

RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")
EC_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")


def _spki(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _rsa_spki(modulus: int, exponent: int) -> bytes:
    key = der.sequence(der.encode(modulus), der.encode(exponent))
    return der.sequence(RSA_ALGORITHM, der.encode(der.bit_string(key)))


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_every_kind_of_key_is_recognised_and_already_in_our_form(algorithm: KeyAlgorithm) -> None:
    spki = memory_key(algorithm).key.public_key
    assert verify.key_algorithm(spki) is algorithm
    assert verify.normalise_spki(spki) == spki


def test_the_curves_own_oid_is_read_and_not_written() -> None:
    spki = memory_key(KeyAlgorithm.SM2).key.public_key
    point = sm2_forms.point_of_spki(spki)
    variant = bytes.fromhex("305a301406082a811ccf5501822d06082a811ccf5501822d034200") + point
    assert verify.normalise_spki(variant) == spki


def test_a_compressed_ec_point_is_read_and_not_written() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    compressed = der.sequence(EC_P256, der.encode(der.bit_string(point)))
    assert verify.normalise_spki(compressed) == _spki(key)


def test_rsa_keys_of_other_sizes_are_refused_with_the_sizes() -> None:
    with pytest.raises(Refused, match="2048, 3072 or 4096 bits here, this one has 2047"):
        verify.key_algorithm(_rsa_spki((1 << 2046) + 1, 65537))
    with pytest.raises(Refused, match="8192"):
        verify.key_algorithm(_rsa_spki((1 << 8191) + 1, 65537))


@pytest.mark.parametrize(
    ("spki", "error"),
    [
        (b"", Malformed),
        (_rsa_spki((1 << 2047) + 1, 4), Malformed),
        (der.sequence(EC_P256, der.encode(der.bit_string(b"\x04" + bytes(64)))), Malformed),
        (der.sequence(EC_P256, der.encode(der.bit_string(b"\x00"))), Malformed),
        (der.sequence(RSA_ALGORITHM, der.encode(der.bit_string(b"junk"))), Malformed),
        (der.sequence(bytes.fromhex("300506032b6571"), b"\x03\x01\x00"), Refused),  # Ed448
        (der.sequence(bytes.fromhex("300506032b6570"), b"\x03\x02\x00\x01"), Malformed),
    ],
)
def test_what_is_no_key_of_ours_is_not_taken(spki: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        verify.parse(spki)


@pytest.mark.parametrize("key", [KeyAlgorithm.SM2, KeyAlgorithm.EC_P256, KeyAlgorithm.ED25519])
@pytest.mark.parametrize("signature_algorithm", list(SignatureAlgorithm))
def test_a_key_verifies_nothing_of_another_kind(
    key: KeyAlgorithm, signature_algorithm: SignatureAlgorithm
) -> None:
    signer = memory_key(key)
    signature = signer.sign(b"message")
    if signature_algorithm is signer.algorithm:
        verify.verify_signature(signer.key.public_key, signature_algorithm, b"message", signature)
        return
    with pytest.raises(InvalidSignature):
        verify.verify_signature(signer.key.public_key, signature_algorithm, b"message", signature)


def test_a_p256_key_may_sign_with_sha384() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    signature = key.sign(b"message", verify.ECDSA[SignatureAlgorithm.ECDSA_SHA384])
    spki = _spki(key.public_key())
    verify.verify_signature(spki, SignatureAlgorithm.ECDSA_SHA384, b"message", signature)
    with pytest.raises(InvalidSignature):
        verify.verify_signature(spki, SignatureAlgorithm.ECDSA_SHA256, b"message", signature)


def test_an_sm2_signature_over_the_empty_identity_is_invalid() -> None:
    key = sm2.PrivateKey.generate()
    signature = key.sign(b"message", distinguishing_id=b"")
    with pytest.raises(InvalidSignature):
        verify.verify_signature(key.public_key, SignatureAlgorithm.SM2_SM3, b"message", signature)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("digest_info", "accepted"),
    [
        ("3030300c06082a811ccf5501831105000420", True),  # SM3, GM/T 0006
        ("3030300c06082a811ccf5501837805000420", True),  # what OpenSSL writes
        ("302f300c06082a811ccf5501837805000420", False),  # and wrote before its length was fixed
        ("3031300d06096086480165030402010500" + "0420", False),  # SM3's value named SHA-256
    ],
)
def test_rsa_with_sm3_is_read_in_two_forms(
    rsa_key: rsa.RSAPrivateKey, digest_info: str, accepted: bool
) -> None:
    data = bytes.fromhex(digest_info) + hashlib.new("sm3", b"message").digest()
    signature = rsa_key.sign(data, padding.PKCS1v15(), utils.NoDigestInfo())
    spki = _spki(rsa_key.public_key())
    if accepted:
        verify.verify_signature(spki, SignatureAlgorithm.RSA_SM3, b"message", signature)
        return
    with pytest.raises(InvalidSignature):
        verify.verify_signature(spki, SignatureAlgorithm.RSA_SM3, b"message", signature)


def test_we_write_rsa_with_sm3_as_the_standard_says() -> None:
    key = softkey.generate(KeyAlgorithm.RSA_2048)
    signature = key.sign(SignatureAlgorithm.RSA_SM3, b"message")
    public = serialization.load_der_public_key(key.public_key)
    assert isinstance(public, rsa.RSAPublicKey)
    recovered = public.recover_data_from_signature(signature, padding.PKCS1v15(), None)
    assert recovered.hex() == (
        "3030300c06082a811ccf5501831105000420" + hashlib.new("sm3", b"message").hexdigest()
    )
