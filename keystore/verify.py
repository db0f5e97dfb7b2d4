"""Verifying any signature we know under a SubjectPublicKeyInfo. Raises, never returns a bool."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import exceptions
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from core import der
from core.errors import InvalidSignature, Malformed, Refused
from keystore import rsa_schemes, sm2, sm2_forms
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm

Check = Callable[[SignatureAlgorithm, bytes, bytes], None]

_S = SignatureAlgorithm
ECDSA: Final = {
    _S.ECDSA_SHA256: ec.ECDSA(hashes.SHA256()),
    _S.ECDSA_SHA384: ec.ECDSA(hashes.SHA384()),
}
"""ECDSA as `cryptography` takes it."""

_RSA: Final = bytes.fromhex("300d06092a864886f70d0101010500")
_P256: Final = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
_P384: Final = bytes.fromhex("301006072a8648ce3d020106052b81040022")
_ED25519: Final = bytes.fromhex("300506032b6570")
_RSA_SIZES: Final = {
    2048: KeyAlgorithm.RSA_2048,
    3072: KeyAlgorithm.RSA_3072,
    4096: KeyAlgorithm.RSA_4096,
}
_BY_IDENTIFIER: Final = {
    **dict.fromkeys(sm2_forms.KEY_ALGORITHMS, KeyAlgorithm.SM2),
    _P256: KeyAlgorithm.EC_P256,
    _P384: KeyAlgorithm.EC_P384,
    _ED25519: KeyAlgorithm.ED25519,
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that was parsed and is valid."""

    algorithm: KeyAlgorithm
    spki: bytes
    """In the one form we write."""
    check: Check
    """Raises `InvalidSignature`."""


@asn1.sequence
class _RSAPublicKey:
    """RFC 8017, A.1.1."""

    modulus: int
    public_exponent: int


def verify_signature(
    spki: bytes, algorithm: SignatureAlgorithm, message: bytes, signature: bytes
) -> None:
    """Check a signature over the whole message.

    Raises `InvalidSignature` (also when the key is not for this algorithm), and what `parse`
    raises for a key it does not take.
    """
    parse(spki).check(algorithm, message, signature)


def key_algorithm(spki: bytes) -> KeyAlgorithm:
    """Return what kind of key this is. Raises as `parse` does."""
    return parse(spki).algorithm


def normalise_spki(spki: bytes) -> bytes:
    """Return the same key in the one form we write. Raises as `parse` does."""
    return parse(spki).spki


@lru_cache(maxsize=4096)
def parse(spki: bytes) -> PublicKey:
    """Parse and validate a public key.

    Raises `Malformed` for octets that are no key (a point off its curve included) and `Refused`
    for a key of a kind or size we do not take.
    """
    plain = sm2_forms.is_plain_spki(spki)
    algorithm = KeyAlgorithm.SM2 if plain else _recognise(spki)
    if algorithm is KeyAlgorithm.SM2:
        return _sm2_key(spki)
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed(f"the public key is not a valid {algorithm} key: {error}") from error
    written = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    match key:
        case rsa.RSAPublicKey():
            return PublicKey(algorithm, written, _rsa_check(key))
        case ec.EllipticCurvePublicKey():
            return PublicKey(algorithm, written, _ecdsa_check(key))
        case ed25519.Ed25519PublicKey():
            return PublicKey(algorithm, written, _ed25519_check(key))
        case _:
            raise Malformed(f"the public key is not a valid {algorithm} key")


def _recognise(spki: bytes) -> KeyAlgorithm:
    info = der.decode(der.SubjectPublicKeyInfo, spki, what="the public key")
    identifier = der.octets_of(info.algorithm)
    if identifier != _RSA:
        known = _BY_IDENTIFIER.get(identifier)
        if known is None:
            raise Refused(f"public keys of this algorithm are not taken: {identifier.hex()}")
        return known
    bits = info.subject_public_key.as_bytes()
    size = der.decode(_RSAPublicKey, bits, what="the RSA public key").modulus.bit_length()
    if size not in _RSA_SIZES:
        raise Refused(f"RSA keys have 2048, 3072 or 4096 bits here, this one has {size}")
    return _RSA_SIZES[size]


def _sm2_key(spki: bytes) -> PublicKey:
    key = sm2.public_key(spki)

    def check(algorithm: SignatureAlgorithm, message: bytes, signature: bytes) -> None:
        if algorithm is not _S.SM2_SM3:
            raise _wrong_key(algorithm, "SM2")
        key.verify(message, signature)

    return PublicKey(KeyAlgorithm.SM2, key.spki, check)


def _rsa_check(key: rsa.RSAPublicKey) -> Check:
    def check(algorithm: SignatureAlgorithm, message: bytes, signature: bytes) -> None:
        forms = rsa_schemes.accepted(algorithm, message)
        if not forms:
            raise _wrong_key(algorithm, "RSA")
        for form in forms:
            with contextlib.suppress(exceptions.InvalidSignature):
                # Its stub forgets NoDigestInfo, which `verify` takes as `sign` does.
                key.verify(signature, form.data, form.padding, form.algorithm)  # type: ignore[arg-type]
                return
        raise _invalid(algorithm)

    return check


def _ecdsa_check(key: ec.EllipticCurvePublicKey) -> Check:
    def check(algorithm: SignatureAlgorithm, message: bytes, signature: bytes) -> None:
        # Either hash with either curve: others sign so, and the identifier names the hash.
        if algorithm not in ECDSA:
            raise _wrong_key(algorithm, "EC")
        try:
            key.verify(signature, message, ECDSA[algorithm])
        except exceptions.InvalidSignature as error:
            raise _invalid(algorithm) from error

    return check


def _ed25519_check(key: ed25519.Ed25519PublicKey) -> Check:
    def check(algorithm: SignatureAlgorithm, message: bytes, signature: bytes) -> None:
        if algorithm is not _S.ED25519:
            raise _wrong_key(algorithm, "Ed25519")
        try:
            key.verify(signature, message)
        except exceptions.InvalidSignature as error:
            raise _invalid(algorithm) from error

    return check


def _wrong_key(algorithm: SignatureAlgorithm, kind: str) -> InvalidSignature:
    return InvalidSignature(f"the key is an {kind} key, and {algorithm} is not made with it")


def _invalid(algorithm: SignatureAlgorithm) -> InvalidSignature:
    return InvalidSignature(f"the {algorithm} signature does not verify")
