"""CFCA's double request: a temporary public key in it, and the encryption key enveloped to that.

The octets are CFCA's clients' (SADK), as gmsm reads and writes them; no standard has them.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from cryptography.hazmat import asn1

from core import der
from core.errors import Malformed
from keystore import sm2, sm2_forms

_HEAD: Final = b"0000000000000001" * 2 + b"0" * 32
_PREFIX: Final = bytes.fromhex("00b4000000010000")
_HALF: Final = bytes(32)
_OCTETS: Final = 136


@asn1.sequence
class _TemporaryKey:
    version: int
    public_key: bytes


def decode_temporary_key(octets: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo in a tempPublicKey attribute's value. Raises `Malformed`.

    136 octets: a head, X, 32 zeros, Y, 32 zeros.
    """
    what = "the temporary public key"
    parsed = der.decode(_TemporaryKey, octets, what=what)
    head, rest = parsed.public_key[: len(_PREFIX)], parsed.public_key[len(_PREFIX) :]
    x, y = rest[:32], rest[64:96]
    if (
        parsed.version != 1
        or len(parsed.public_key) != _OCTETS
        or head != _PREFIX
        or rest[32:64] != _HALF
        or rest[96:] != _HALF
    ):
        raise Malformed(f"{what} is not the {_OCTETS} octets of an SM2 key as CFCA has them")
    spki = sm2_forms.spki_of_point(b"\x04" + x + y)
    sm2_forms.point_of_spki(spki)
    return spki


def encode_for_temporary_key(private: sm2.PrivateKey, *, recipient: bytes) -> bytes:
    """Envelop X, Y and d of a key to the temporary key: ASCII, as CFCA's clients read it."""
    scalar, _ = sm2_forms.decode_pkcs8(private.pkcs8())
    point = sm2_forms.point_of_spki(private.public_key)
    sealed = sm2.encrypt(recipient, point[1:] + scalar.to_bytes(32, "big"))
    cipher = sm2_forms.decode_cipher(sealed)
    raw = b"".join(
        (
            cipher.x.to_bytes(32, "big"),
            cipher.y.to_bytes(32, "big"),
            cipher.hash,
            cipher.cipher_text,
        )
    )
    text = b64encode(der.sequence(der.encode(1), der.encode(raw)))
    return _HEAD + f"{len(text):016d}".encode() + text
