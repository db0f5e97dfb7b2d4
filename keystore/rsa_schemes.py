"""RSA signature schemes (RFC 8017) as `cryptography` takes them, SM3 included.

SM3 is the odd one. PKCS#1 v1.5 wraps the digest in a DigestInfo with the OID of the hash, which is
1.2.156.10197.1.401 (GM/T 0006); Botan and smart-key middleware write it so. OpenSSL writes the OID
of the *signature*, 1.2.156.10197.1.504. We write the standard's form and read both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from keystore.algorithms import Digest, SignatureAlgorithm

_S = SignatureAlgorithm
_DIGEST_INFO_SM3: Final = bytes.fromhex("3030300c06082a811ccf5501831105000420")
_DIGEST_INFO_SM3_OPENSSL: Final = bytes.fromhex("3030300c06082a811ccf5501837805000420")
_SHA256: Final = hashes.SHA256()
_SHA384: Final = hashes.SHA384()
# The salt is as long as the hash: our identifiers say so (RFC 4055, 3.1).
_SCHEMES: Final[dict[_S, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]]] = {
    _S.RSA_SHA256: (padding.PKCS1v15(), _SHA256),
    _S.RSA_SHA384: (padding.PKCS1v15(), _SHA384),
    _S.RSA_PSS_SHA256: (padding.PSS(padding.MGF1(_SHA256), _SHA256.digest_size), _SHA256),
    _S.RSA_PSS_SHA384: (padding.PSS(padding.MGF1(_SHA384), _SHA384.digest_size), _SHA384),
}


@dataclass(frozen=True, slots=True)
class Scheme:
    """The arguments after the signature in `sign` and `verify` of an RSA key."""

    data: bytes
    padding: padding.AsymmetricPadding
    algorithm: hashes.HashAlgorithm | utils.NoDigestInfo


def scheme(algorithm: SignatureAlgorithm, message: bytes) -> Scheme | None:
    """Return how we sign `message`; None for the algorithms of other keys."""
    if algorithm is _S.RSA_SM3:
        return _sm3(sm3_digest_info(message))
    known = _SCHEMES.get(algorithm)
    return None if known is None else Scheme(message, *known)


def accepted(algorithm: SignatureAlgorithm, message: bytes) -> tuple[Scheme, ...]:
    """Return every form of the signature that we take; nothing for algorithms of other keys."""
    ours = scheme(algorithm, message)
    if ours is None:
        return ()
    if algorithm is not _S.RSA_SM3:
        return (ours,)
    digest = ours.data[len(_DIGEST_INFO_SM3) :]
    return ours, _sm3(_DIGEST_INFO_SM3_OPENSSL + digest)


def sm3_digest_info(message: bytes) -> bytes:
    """Return the DigestInfo that PKCS#1 v1.5 pads (RFC 8017, 9.2)."""
    return _DIGEST_INFO_SM3 + hashlib.new(Digest.SM3, message).digest()


def _sm3(digest_info: bytes) -> Scheme:
    return Scheme(digest_info, padding.PKCS1v15(), utils.NoDigestInfo())
