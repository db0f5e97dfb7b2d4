"""Key envelopes: an SM2 encryption key, sealed to its holder's signing key.

SM2EnvelopedKey (GB/T 35276) is what we keep and hand over; CSRResponse (GM/T 0092) and the SKF
ENVELOPEDKEYBLOB (GM/T 0016) carry the same four things in other octets, so that turning one
into another needs no private key. Writing gives one form; reading takes the forms met in the
field (docs/key-management.md) and proves the result: the key inside must be that of the envelope.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat import asn1

from core import der
from core.errors import Malformed
from keystore import sm2, sm2_forms, sm4

_SM4_ECB: Final = der.sequence(bytes.fromhex("06082a811ccf55016801"), der.NULL)
_SYMMETRIC: Final = frozenset(
    {
        _SM4_ECB,
        der.sequence(bytes.fromhex("06082a811ccf55016801")),
        # SM4 itself, without a mode, as older writers name it.
        der.sequence(bytes.fromhex("06072a811ccf550168")),
        der.sequence(bytes.fromhex("06072a811ccf550168"), der.NULL),
    }
)
_SCALAR_OCTETS: Final = 32
_ENCRYPTED_OCTETS: Final = (32, 48, 64)

Decrypt = Callable[[bytes], bytes]
"""Opens a DER SM2Cipher with the holder's signing key."""


@asn1.sequence
class _SM2EnvelopedKey:
    """GB/T 35276, 7.4."""

    algorithm: asn1.TLV
    key: asn1.TLV
    public_key: asn1.BitString
    encrypted: asn1.BitString


@dataclass(frozen=True, slots=True)
class EnvelopedKey:
    """A private key under a fresh SM4 key, that one under the holder's public signing key."""

    cipher: bytes
    """DER SM2Cipher of the SM4 key."""
    point: bytes
    """04 || X || Y of the enveloped key."""
    encrypted: bytes
    """SM4-ECB of the private key: 32 octets; what others wrote may have 48 or 64."""


def envelop(private: sm2.PrivateKey, *, recipient: bytes) -> EnvelopedKey:
    """Seal `private` to the SubjectPublicKeyInfo `recipient`. Raises `Malformed` for a bad one."""
    key = secrets.token_bytes(sm4.KEY_OCTETS)
    scalar, _ = sm2_forms.decode_pkcs8(private.pkcs8())
    return EnvelopedKey(
        cipher=sm2.encrypt(recipient, key),
        point=sm2_forms.point_of_spki(private.public_key),
        encrypted=sm4.encrypt_blocks(key, scalar.to_bytes(_SCALAR_OCTETS, "big")),
    )


def open_envelope(enveloped: EnvelopedKey, decrypt: Decrypt) -> sm2.PrivateKey:
    """Return the key inside. Raises `Malformed`, for every reason with the same words."""
    key = decrypt(enveloped.cipher)
    refusal = Malformed("the key envelope does not open with this key")
    if len(key) != sm4.KEY_OCTETS:
        raise refusal
    for octets in _candidates(key, enveloped.encrypted):
        try:
            private = sm2.PrivateKey.from_scalar(int.from_bytes(octets, "big"))
        except Malformed:
            continue
        if sm2_forms.point_of_spki(private.public_key) == enveloped.point:
            return private
    raise refusal


def encode_enveloped_key(enveloped: EnvelopedKey) -> bytes:
    """Write SM2EnvelopedKey."""
    return der.sequence(
        _SM4_ECB,
        enveloped.cipher,
        der.encode(der.bit_string(enveloped.point)),
        der.encode(der.bit_string(enveloped.encrypted)),
    )


def decode_enveloped_key(octets: bytes) -> EnvelopedKey:
    """Read SM2EnvelopedKey. Raises `Malformed`."""
    what = "the key envelope"
    parsed = der.decode(_SM2EnvelopedKey, octets, what=what)
    if der.octets_of(parsed.algorithm) not in _SYMMETRIC:
        raise Malformed(f"{what} is not encrypted with SM4 in ECB mode (GB/T 35276)")
    if parsed.public_key.padding_bits() or parsed.encrypted.padding_bits():
        raise Malformed(f"{what} is not whole octets")
    return check_envelope(
        EnvelopedKey(
            cipher=der.octets_of(parsed.key),
            point=parsed.public_key.as_bytes(),
            encrypted=parsed.encrypted.as_bytes(),
        )
    )


def check_envelope(enveloped: EnvelopedKey) -> EnvelopedKey:
    """Return it if its parts can be what they claim. Raises `Malformed`."""
    sm2_forms.decode_cipher(enveloped.cipher)
    sm2_forms.point_of_spki(sm2_forms.spki_of_point(enveloped.point))
    if len(enveloped.encrypted) not in _ENCRYPTED_OCTETS:
        raise Malformed("the key envelope holds an encrypted key of no known length")
    return enveloped


def _candidates(key: bytes, encrypted: bytes) -> Iterator[bytes]:
    """Return what may be the 32 octets of the key; the point of the envelope decides.

    48: padded as PKCS#7 does. 64: 32 zero octets beside the key, before or after encryption.
    """
    for start in range(0, len(encrypted) - _SCALAR_OCTETS + 1, _SCALAR_OCTETS):
        yield sm4.decrypt_blocks(key, encrypted[start : start + _SCALAR_OCTETS])
