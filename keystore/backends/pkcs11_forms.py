"""How each algorithm looks through PKCS#11: key templates, sign mechanisms, public keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pkcs11.constants import Attribute, MechanismFlag
from pkcs11.mechanisms import MGF, KeyType, Mechanism

from core import der, oids
from core.errors import Malformed, Refused
from keystore import rsa_schemes, sm2, sm2_forms, verify
from keystore.algorithms import Digest, KeyAlgorithm, SignatureAlgorithm
from keystore.config import VendorSM2Config
from keystore.keywrap import OAEPDigest

Number = TypeVar("Number", KeyType, Mechanism)

_S = SignatureAlgorithm
_RSA_BITS: Final = {
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}
_EC_PARAMETERS: Final = {
    KeyAlgorithm.EC_P256: bytes.fromhex("06082a8648ce3d030107"),
    KeyAlgorithm.EC_P384: bytes.fromhex("06052b81040022"),
    # SoftHSM and PKCS#11 before 3.0 take the curve's name, which 3.0 allows too (6.3.16).
    KeyAlgorithm.ED25519: b"\x13\x0cedwards25519",
    KeyAlgorithm.SM2: bytes.fromhex("06082a811ccf5501822d"),
}
_ED25519_ALGORITHM: Final = bytes.fromhex("300506032b6570")
_PRIVATE: Final = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}


@asn1.sequence
class _ECDSASignature:
    r: int
    s: int


@dataclass(frozen=True, slots=True)
class SignOperation:
    """One way to sign: what goes into the mechanism, and what its answer becomes.

    `finish` raises `Malformed` for an answer that is no signature.
    """

    mechanism: Mechanism
    parameter: Any
    prepare: Callable[[bytes], bytes]
    finish: Callable[[bytes], bytes]


def generation(
    algorithm: KeyAlgorithm, vendor: VendorSM2Config | None
) -> tuple[KeyType, dict[str, Any]]:
    """Return key type and arguments for `Session.generate_keypair`.

    The private key stays on the token, is never shown and only signs. Raises `Refused` for SM2
    when no vendor mechanisms are configured.
    """
    common: dict[str, Any] = {
        "store": True,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": dict(_PRIVATE),
        "public_template": {},
    }
    if algorithm in _RSA_BITS:
        return KeyType.RSA, {**common, "key_length": _RSA_BITS[algorithm]}
    common["public_template"] = {Attribute.EC_PARAMS: _EC_PARAMETERS[algorithm]}
    match algorithm:
        case KeyAlgorithm.ED25519:
            return KeyType.EC_EDWARDS, common
        case KeyAlgorithm.SM2:
            chosen = _require_vendor(vendor)
            mechanism = vendor_number(Mechanism, chosen.key_generation_mechanism)
            return vendor_number(KeyType, chosen.key_type), {**common, "mechanism": mechanism}
        case _:
            return KeyType.EC, common


def wrapping_generation() -> tuple[KeyType, dict[str, Any]]:
    """Return the same for a storage key: RSA, which only decrypts, as no token has SM2 for it."""
    return KeyType.RSA, {
        "key_length": _RSA_BITS[KeyAlgorithm.RSA_3072],
        "store": True,
        "capabilities": MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        "private_template": dict(_PRIVATE),
        "public_template": {},
    }


def oaep(digest: OAEPDigest) -> dict[str, Any]:
    """Return mechanism and parameter that open RSAES-OAEP (PKCS#11, 2.1.8), without a label."""
    hashes = {
        "sha256": (Mechanism.SHA256, MGF.SHA256, None),
        "sha1": (Mechanism.SHA_1, MGF.SHA1, None),
    }
    return {"mechanism": Mechanism.RSA_PKCS_OAEP, "mechanism_param": hashes[digest]}


def sign_operation(
    algorithm: SignatureAlgorithm, public_key: bytes, vendor: VendorSM2Config | None
) -> SignOperation:
    """Return how a token signs with `algorithm`. Raises `Refused` for SM2 without a vendor."""
    if algorithm is _S.SM2_SM3:
        return _sm2_operation(public_key, _require_vendor(vendor))
    return _OPERATIONS[algorithm]


def public_key(key: Any) -> bytes:
    """Return the SubjectPublicKeyInfo of a token's public object.

    Raises `Malformed` or `Refused` for a key that is none of ours.
    """
    if key[Attribute.KEY_TYPE] == KeyType.RSA:
        numbers = rsa.RSAPublicNumbers(
            int.from_bytes(key[Attribute.PUBLIC_EXPONENT], "big"),
            int.from_bytes(key[Attribute.MODULUS], "big"),
        )
        try:
            spki = numbers.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        except ValueError as error:
            raise Malformed(f"the token's RSA public key is not valid: {error}") from error
        return verify.normalise_spki(spki)
    point = _point(key[Attribute.EC_POINT])
    if key[Attribute.KEY_TYPE] == KeyType.EC_EDWARDS:
        algorithm = _ED25519_ALGORITHM
    else:
        algorithm = der.sequence(der.encode(oids.EC_PUBLIC_KEY), key[Attribute.EC_PARAMS])
    return verify.normalise_spki(der.sequence(algorithm, der.encode(der.bit_string(point))))


def vendor_number(kind: type[Number], number: int) -> Number:
    """Make a member of an enumeration for a number that PKCS#11 leaves to vendors.

    python-pkcs11 only passes members on. It passes them as the integers that they are.
    """
    member = int.__new__(kind, number)
    member._name_ = f"VENDOR_{number:08X}"
    member._value_ = number
    return member


def _sm2_operation(public_key: bytes, vendor: VendorSM2Config) -> SignOperation:
    mechanism = vendor_number(Mechanism, vendor.sign_mechanism)
    key = sm2.public_key(public_key)
    prepare = key.digest if vendor.sign_mode == "digest-e" else _same
    finish = {"raw": sm2_forms.signature_from_raw, "der": _sm2_der, "detect": _sm2_detect}
    return SignOperation(mechanism, None, prepare, finish[vendor.signature_format])


def _require_vendor(vendor: VendorSM2Config | None) -> VendorSM2Config:
    if vendor is None:
        raise Refused(
            "PKCS#11 has no SM2 of its own: set keystore.pkcs11.sm2 to the vendor's mechanisms"
        )
    return vendor


def _point(octets: bytes) -> bytes:
    """Take the point out of its OCTET STRING; some tokens give it bare."""
    try:
        return der.decode(bytes, octets, what="the point")
    except Malformed:
        return octets


def _same(octets: bytes) -> bytes:
    return octets


def _digest(digest: Digest) -> Callable[[bytes], bytes]:
    return lambda message: hashlib.new(digest, message).digest()


def _ecdsa_der(raw: bytes) -> bytes:
    """PKCS#11 gives r and s of equal length (2.3.1); X.509 wants a SEQUENCE (RFC 3279, 2.2.3)."""
    half = len(raw) // 2
    r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    return der.encode(_ECDSASignature(r=r, s=s))


def _sm2_der(signature: bytes) -> bytes:
    sm2_forms.decode_signature(signature)
    return signature


def _sm2_detect(signature: bytes) -> bytes:
    """Take 64 octets for r and s, unless they are a (short) SEQUENCE."""
    try:
        return _sm2_der(signature)
    except Malformed:
        return sm2_forms.signature_from_raw(signature)


_OPERATIONS: Final = {
    _S.RSA_SHA256: SignOperation(Mechanism.SHA256_RSA_PKCS, None, _same, _same),
    _S.RSA_SHA384: SignOperation(Mechanism.SHA384_RSA_PKCS, None, _same, _same),
    _S.RSA_SM3: SignOperation(Mechanism.RSA_PKCS, None, rsa_schemes.sm3_digest_info, _same),
    _S.RSA_PSS_SHA256: SignOperation(
        Mechanism.SHA256_RSA_PKCS_PSS, (Mechanism.SHA256, MGF.SHA256, 32), _same, _same
    ),
    _S.RSA_PSS_SHA384: SignOperation(
        Mechanism.SHA384_RSA_PKCS_PSS, (Mechanism.SHA384, MGF.SHA384, 48), _same, _same
    ),
    _S.ECDSA_SHA256: SignOperation(Mechanism.ECDSA, None, _digest(Digest.SHA256), _ecdsa_der),
    _S.ECDSA_SHA384: SignOperation(Mechanism.ECDSA, None, _digest(Digest.SHA384), _ecdsa_der),
    _S.ED25519: SignOperation(Mechanism.EDDSA, None, _same, _same),
}
