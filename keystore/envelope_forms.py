"""A key envelope in the octets of two other standards: CSRResponse and SKF ENVELOPEDKEYBLOB."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Annotated, Final

from cryptography.hazmat import asn1

from core import der
from core.errors import Malformed
from keystore import sm2_forms
from keystore.envelope import (
    EnvelopedKey,
    check_envelope,
    decode_enveloped_key,
    encode_enveloped_key,
)

_ENCRYPT_CERTIFICATES: Final = 0xA1  # [1] IMPLICIT SET OF
_SGD_SM4_ECB: Final = 0x0401
_HALF: Final = bytes(32)
_HEAD: Final = struct.Struct("<III64s")
_PUBLIC: Final = struct.Struct("<I64s64s")
_CIPHER: Final = struct.Struct("<64s64s32sI")
_FIXED: Final = _HEAD.size + _PUBLIC.size + _CIPHER.size


@dataclass(frozen=True, slots=True)
class CSRResponse:
    """What a dual request gives: two certificates, and the encryption key enveloped."""

    signing: bytes
    """DER certificate."""
    encryption: bytes
    """DER certificate."""
    enveloped: EnvelopedKey


@asn1.sequence
class _CSRResponse:
    """GM/T 0092, 8: signCertificate SET, [0] SM2EnvelopedKey, [1] IMPLICIT SET."""

    signing: asn1.SetOf[asn1.TLV]
    enveloped: Annotated[asn1.TLV, asn1.Explicit(0)]
    encryption: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(1)]


def encode_csr_response(response: CSRResponse) -> bytes:
    """Write CSRResponse, with one certificate in each set."""
    return der.sequence(
        der.wrap(der.SET, response.signing),
        der.explicit(0, encode_enveloped_key(response.enveloped)),
        der.wrap(_ENCRYPT_CERTIFICATES, response.encryption),
    )


def decode_csr_response(octets: bytes) -> CSRResponse:
    """Read CSRResponse with an envelope and one certificate in each set. Raises `Malformed`."""
    what = "the CSRResponse"
    parsed = der.decode(_CSRResponse, octets, what=what)
    signing, encryption = parsed.signing.as_list(), parsed.encryption.as_list()
    if len(signing) != 1 or len(encryption) != 1:
        raise Malformed(f"{what} must hold one signing and one encryption certificate")
    return CSRResponse(
        signing=der.octets_of(signing[0]),
        encryption=der.octets_of(encryption[0]),
        enveloped=decode_enveloped_key(der.octets_of(parsed.enveloped)),
    )


def encode_skf_blob(enveloped: EnvelopedKey) -> bytes:
    """Write ENVELOPEDKEYBLOB (GM/T 0016), packed, little endian, values right-aligned.

    Raises `Malformed` for an envelope of another length than ours.
    """
    if len(enveloped.encrypted) != len(_HALF):
        raise Malformed("only an encrypted key of 32 octets can be put into an SKF blob")
    cipher = sm2_forms.decode_cipher(enveloped.cipher)
    x, y = enveloped.point[1:33], enveloped.point[33:]
    return (
        _HEAD.pack(1, _SGD_SM4_ECB, 256, _HALF + enveloped.encrypted)
        + _PUBLIC.pack(256, _HALF + x, _HALF + y)
        + _CIPHER.pack(
            cipher.x.to_bytes(64, "big"),
            cipher.y.to_bytes(64, "big"),
            cipher.hash,
            len(cipher.cipher_text),
        )
        + cipher.cipher_text
    )


def decode_skf_blob(octets: bytes) -> EnvelopedKey:
    """Read ENVELOPEDKEYBLOB. Raises `Malformed`."""
    what = "the SKF key blob"
    if len(octets) <= _FIXED:
        raise Malformed(f"{what} is too short")
    version, algorithm, bits, encrypted = _HEAD.unpack_from(octets)
    key_bits, x, y = _PUBLIC.unpack_from(octets, _HEAD.size)
    cx, cy, digest, size = _CIPHER.unpack_from(octets, _HEAD.size + _PUBLIC.size)
    text = octets[_FIXED:]
    if (version, algorithm, bits, key_bits) != (1, _SGD_SM4_ECB, 256, 256):
        raise Malformed(f"{what} is not version 1 with a 256-bit key under SM4-ECB")
    if size != len(text):
        raise Malformed(f"{what} says {size} octets of ciphertext and holds {len(text)}")
    if x[:32] != _HALF or y[:32] != _HALF:
        raise Malformed(f"{what}: the public key is longer than 256 bits")
    # The zeros beside the encrypted key are not part of it where they are not encrypted.
    if encrypted[:32] == _HALF:
        encrypted = encrypted[32:]
    elif encrypted[32:] == _HALF:
        encrypted = encrypted[:32]
    cipher = sm2_forms.Cipher(
        x=int.from_bytes(cx, "big"), y=int.from_bytes(cy, "big"), hash=digest, cipher_text=text
    )
    return check_envelope(
        EnvelopedKey(
            cipher=der.encode(cipher), point=b"\x04" + x[32:] + y[32:], encrypted=encrypted
        )
    )
