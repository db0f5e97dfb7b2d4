"""A private key in a CMS message: EnvelopedData (RFC 5652) for RSA, SignedAndEnvelopedData for SM2.

Written only. The second is PKCS#7's (RFC 2315, 11) with the content types of GB/T 35275, which
GM/T 0014 has the key management centre send. What both leave open is in docs/decisions/0054.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from core import der
from core.errors import Malformed
from keystore import sm2, sm4
from keystore.backend import Signer
from keystore.certificates import issuer_and_serial, public_key_of

_BLOCK_OCTETS: Final = 16
_AES_KEY_OCTETS: Final = 32


def _oid(dotted: str) -> bytes:
    return der.encode(der.oid(dotted))


_DATA: Final = _oid("1.2.840.113549.1.7.1")
_ENVELOPED_DATA: Final = _oid("1.2.840.113549.1.7.3")
_AES_256_CBC: Final = _oid("2.16.840.1.101.3.4.1.42")
_SHA256: Final = der.sequence(_oid("2.16.840.1.101.3.4.2.1"), der.NULL)
# RFC 4055, 4.1: SHA-256, and MGF1 with it.
_RSAES_OAEP: Final = der.sequence(
    _oid("1.2.840.113549.1.1.7"),
    der.sequence(
        der.explicit(0, _SHA256),
        der.explicit(1, der.sequence(_oid("1.2.840.113549.1.1.8"), _SHA256)),
    ),
)
# GM/T 0006 and GM/T 0010.
_GM_DATA: Final = _oid("1.2.156.10197.6.1.4.2.1")
_GM_SIGNED_AND_ENVELOPED: Final = _oid("1.2.156.10197.6.1.4.2.4")
_SM4_CBC: Final = _oid("1.2.156.10197.1.104.2")
_SM3: Final = der.sequence(_oid("1.2.156.10197.1.401"), der.NULL)
_SM2_SIGN: Final = der.sequence(_oid("1.2.156.10197.1.301.1"), der.NULL)
_SM2_ENCRYPT: Final = der.sequence(_oid("1.2.156.10197.1.301.3"), der.NULL)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who signs an envelope: a key, and the certificate that names it."""

    signer: Signer
    certificate: bytes


def encode_enveloped_data(content: bytes, *, recipient: bytes) -> bytes:
    """Encrypt to an RSA SubjectPublicKeyInfo, which the message names by its key identifier.

    RSAES-OAEP with SHA-256, AES-256-CBC. Raises `Malformed` for a key that is not RSA.
    """
    public = serialization.load_der_public_key(recipient)
    if not isinstance(public, rsa.RSAPublicKey):
        raise Malformed("EnvelopedData is for RSA keys")
    key, iv = secrets.token_bytes(_AES_KEY_OCTETS), secrets.token_bytes(_BLOCK_OCTETS)
    oaep = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    # RFC 5280, 4.2.1.2, method 1, as our certificates carry it. A name, not a security claim.
    bits = der.public_key_bits(recipient)
    identifier = hashlib.sha1(bits, usedforsecurity=False).digest()
    transport = der.sequence(
        der.encode(2),
        _implicit(0, der.encode(identifier)),
        _RSAES_OAEP,
        der.encode(public.encrypt(key, oaep)),
    )
    cipher = Cipher(algorithms.AES256(key), modes.CBC(iv))
    enveloped = der.sequence(
        der.encode(2),
        der.wrap(der.SET, transport),
        _encrypted_content(_DATA, der.sequence(_AES_256_CBC, der.encode(iv)), cipher, content),
    )
    return der.sequence(_ENVELOPED_DATA, der.explicit(0, enveloped))


def encode_signed_and_enveloped(content: bytes, *, recipient: bytes, sender: Sender) -> bytes:
    """Sign `content` and encrypt it to the SM2 key of the certificate `recipient`.

    Signed is the content itself, with the signer's Z. Raises `Malformed` for another key.
    """
    key, iv = secrets.token_bytes(sm4.KEY_OCTETS), secrets.token_bytes(_BLOCK_OCTETS)
    transport = der.sequence(
        der.encode(1),
        issuer_and_serial(recipient),
        _SM2_ENCRYPT,
        der.encode(sm2.encrypt(public_key_of(recipient), key)),
    )
    signed = der.sequence(
        der.encode(1),
        issuer_and_serial(sender.certificate),
        _SM3,
        _SM2_SIGN,
        der.encode(sender.signer.sign(content)),
    )
    cipher = Cipher(algorithms.SM4(key), modes.CBC(iv))
    message = der.sequence(
        der.encode(1),
        der.wrap(der.SET, transport),
        der.wrap(der.SET, _SM3),
        _encrypted_content(_GM_DATA, der.sequence(_SM4_CBC, der.encode(iv)), cipher, content),
        der.wrap(0xA0, sender.certificate),
        der.wrap(der.SET, signed),
    )
    return der.sequence(_GM_SIGNED_AND_ENVELOPED, der.explicit(0, message))


def _encrypted_content(
    content_type: bytes, algorithm: bytes, cipher: Cipher[modes.CBC], content: bytes
) -> bytes:
    padder = padding.PKCS7(8 * _BLOCK_OCTETS).padder()
    padded = padder.update(content) + padder.finalize()
    encryptor = cipher.encryptor()
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    return der.sequence(content_type, algorithm, _implicit(0, der.encode(ciphertext)))


def _implicit(number: int, primitive: bytes) -> bytes:
    """Put ``[number] IMPLICIT`` in the place of a primitive's own tag."""
    return bytes((0x80 | number,)) + primitive[1:]
