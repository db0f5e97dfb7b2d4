"""The algorithms we know: names, OIDs, AlgorithmIdentifier octets.

Writing emits one form of each identifier; reading accepts the variants met in the field
(SM2: parameters absent or NULL, RSA: NULL or absent). The tables hold whole octets, so that
recognising an identifier is a look-up and never a guess.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.errors import Malformed


class Digest(StrEnum):
    """Hash functions by their `hashlib` names."""

    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    SM3 = "sm3"


class SignatureAlgorithm(StrEnum):
    """How a message is signed. The value is the name used in settings, rows and logs."""

    SM2_SM3 = "sm2-sm3"
    RSA_SHA256 = "rsa-sha256"
    RSA_SHA384 = "rsa-sha384"
    RSA_SM3 = "rsa-sm3"
    RSA_PSS_SHA256 = "rsa-pss-sha256"
    RSA_PSS_SHA384 = "rsa-pss-sha384"
    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ED25519 = "ed25519"

    @property
    def identifier(self) -> bytes:
        """The DER AlgorithmIdentifier that we write."""
        return _IDENTIFIER[self]

    @property
    def digest(self) -> Digest | None:
        """The hash of the message; None for Ed25519, which has its own."""
        return _DIGEST[self]


class KeyAlgorithm(StrEnum):
    """What kind of key. The value is the name used in settings, rows and logs."""

    SM2 = "sm2"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    ED25519 = "ed25519"

    @property
    def signatures(self) -> tuple[SignatureAlgorithm, ...]:
        """The signature algorithms such a key can be used with; the first is the default."""
        return _SIGNATURES[self]

    @property
    def default_signature(self) -> SignatureAlgorithm:
        """The signature algorithm to use when nobody asks for another."""
        return _SIGNATURES[self][0]


_S = SignatureAlgorithm
_RSA: Final = (_S.RSA_SHA256, _S.RSA_SHA384, _S.RSA_SM3, _S.RSA_PSS_SHA256, _S.RSA_PSS_SHA384)
_SIGNATURES: Final[dict[KeyAlgorithm, tuple[SignatureAlgorithm, ...]]] = {
    KeyAlgorithm.SM2: (_S.SM2_SM3,),
    KeyAlgorithm.RSA_2048: _RSA,
    KeyAlgorithm.RSA_3072: _RSA,
    KeyAlgorithm.RSA_4096: _RSA,
    KeyAlgorithm.EC_P256: (_S.ECDSA_SHA256,),
    KeyAlgorithm.EC_P384: (_S.ECDSA_SHA384,),
    KeyAlgorithm.ED25519: (_S.ED25519,),
}

_DIGEST: Final[dict[SignatureAlgorithm, Digest | None]] = {
    _S.SM2_SM3: Digest.SM3,
    _S.RSA_SHA256: Digest.SHA256,
    _S.RSA_SHA384: Digest.SHA384,
    _S.RSA_SM3: Digest.SM3,
    _S.RSA_PSS_SHA256: Digest.SHA256,
    _S.RSA_PSS_SHA384: Digest.SHA384,
    _S.ECDSA_SHA256: Digest.SHA256,
    _S.ECDSA_SHA384: Digest.SHA384,
    _S.ED25519: None,
}

_IDENTIFIER: Final[dict[SignatureAlgorithm, bytes]] = {
    # GM/T 0006; parameters absent is what OpenSSL, Tongsuo, gmsm, BC and GmSSL emit.
    _S.SM2_SM3: bytes.fromhex("300a06082a811ccf55018375"),
    # RFC 4055, 5: NULL is required.
    _S.RSA_SHA256: bytes.fromhex("300d06092a864886f70d01010b0500"),
    _S.RSA_SHA384: bytes.fromhex("300d06092a864886f70d01010c0500"),
    _S.RSA_SM3: bytes.fromhex("300c06082a811ccf550183780500"),
    # RFC 4055, 3.1: hash, MGF1 with the same hash, salt as long as the hash, trailer by default.
    _S.RSA_PSS_SHA256: bytes.fromhex(
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
        "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
    ),
    _S.RSA_PSS_SHA384: bytes.fromhex(
        "304106092a864886f70d01010a3034a00f300d06096086480165030402020500"
        "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
    ),
    # RFC 5758, 3.2 and RFC 8410, 3: parameters absent.
    _S.ECDSA_SHA256: bytes.fromhex("300a06082a8648ce3d040302"),
    _S.ECDSA_SHA384: bytes.fromhex("300a06082a8648ce3d040303"),
    _S.ED25519: bytes.fromhex("300506032b6570"),
}

_VARIANTS: Final[dict[bytes, SignatureAlgorithm]] = {
    bytes.fromhex("300c06082a811ccf550183750500"): _S.SM2_SM3,
    bytes.fromhex("300b06092a864886f70d01010b"): _S.RSA_SHA256,
    bytes.fromhex("300b06092a864886f70d01010c"): _S.RSA_SHA384,
    bytes.fromhex("300a06082a811ccf55018378"): _S.RSA_SM3,
}

_BY_IDENTIFIER: Final = {octets: name for name, octets in _IDENTIFIER.items()} | _VARIANTS


def signature_algorithm(identifier: bytes) -> SignatureAlgorithm:
    """Recognise a DER AlgorithmIdentifier of a signature. Raises `Malformed`."""
    found = _BY_IDENTIFIER.get(identifier)
    if found is None:
        raise Malformed(f"the signature algorithm is not supported: {identifier.hex()}")
    return found
