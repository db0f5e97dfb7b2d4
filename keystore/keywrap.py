"""A symmetric key under a public key: SM2 (GB/T 32918.4), or RSAES-OAEP (RFC 8017, 7.1).

The digest of OAEP is a matter of the token that opens it. Nothing there needs collisions to be
hard to find, so SHA-1 is as good as SHA-256, and old tokens know no other (docs/hsm.md).
"""

from __future__ import annotations

from typing import Final, Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from core.errors import Malformed, Refused
from keystore import sm2, verify
from keystore.algorithms import KeyAlgorithm

OAEPDigest = Literal["sha256", "sha1"]
MAX_KEY_OCTETS: Final = 64
_HASHES: Final[dict[OAEPDigest, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha1": hashes.SHA1(),  # noqa: S303 - see above
}


def wrap(public_key: bytes, key: bytes, *, digest: OAEPDigest = "sha256") -> bytes:
    """Encrypt a symmetric key to a SubjectPublicKeyInfo: DER SM2Cipher, or OAEP's octets.

    Raises `Refused` for a public key that only signs.
    """
    if len(key) > MAX_KEY_OCTETS:
        raise ValueError(f"a symmetric key has at most {MAX_KEY_OCTETS} octets")
    algorithm = verify.key_algorithm(public_key)
    if algorithm is KeyAlgorithm.SM2:
        return sm2.encrypt(public_key, key)
    public = serialization.load_der_public_key(public_key)
    if not isinstance(public, rsa.RSAPublicKey):
        raise Refused(f"a key of {algorithm} has no keys under it: take SM2 or RSA")
    return public.encrypt(key, _oaep(digest))


def unwrap(private: rsa.RSAPrivateKey, wrapped: bytes) -> bytes:
    """Open what `wrap` made for an RSA key. Raises `Malformed`."""
    try:
        return private.decrypt(wrapped, _oaep("sha256"))
    except ValueError as error:
        raise Malformed("this was not encrypted to this RSA key") from error


def _oaep(digest: OAEPDigest) -> padding.OAEP:
    chosen = _HASHES[digest]
    return padding.OAEP(padding.MGF1(chosen), chosen, None)
