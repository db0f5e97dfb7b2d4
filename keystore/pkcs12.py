"""PKCS#12 (RFC 7292): a private key and its certificates behind a password. Written, never read.

PBES2 with PBKDF2-HMAC-SHA256, and AES-256-CBC, or SM4-CBC for SM2 keys; MAC with SHA-256. OpenSSL
3.0 reads both, and no reader we know takes HMAC-SM3 under both of its identifiers
(docs/decisions/0053). `cryptography` has a writer, too; it knows no SM2, and lets a guess at the
password cost 2048 hashes at the MAC, whatever the encryption costs.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from core import der
from core.errors import Malformed, Refused
from keystore import libcrypto
from keystore.algorithms import KeyAlgorithm
from keystore.certificates import public_key_of
from keystore.libcrypto import ffi
from keystore.softkey import SoftKey

ITERATIONS: Final = 100_000
"""Of PBKDF2 and of the MAC's key derivation."""
RANDOM_ITERATIONS: Final = 2_048
"""For a password of `random_password`: 130 bits are not guessed, however cheap a guess is."""
MAX_CERTIFICATES: Final = 10
_RANDOM_OCTETS: Final = 20
_RANDOM_CHARACTERS: Final = 26
_PASSWORD: Final = re.compile(r"[ -~]{12,128}")
_DIFFERENT: Final = 5
_SALT_OCTETS: Final = 16
_BLOCK_OCTETS: Final = 16
_MAC_KEY_ID: Final = 3  # RFC 7292, B.3
_VERSION: Final = 3


def _oid(dotted: str) -> bytes:
    return der.encode(der.oid(dotted))


_DATA: Final = _oid("1.2.840.113549.1.7.1")
_ENCRYPTED_DATA: Final = _oid("1.2.840.113549.1.7.6")
_SHROUDED_KEY_BAG: Final = _oid("1.2.840.113549.1.12.10.1.2")
_CERTIFICATE_BAG: Final = _oid("1.2.840.113549.1.12.10.1.3")
_X509_CERTIFICATE: Final = _oid("1.2.840.113549.1.9.22.1")
_LOCAL_KEY_ID: Final = _oid("1.2.840.113549.1.9.21")
_PBES2: Final = _oid("1.2.840.113549.1.5.13")
_PBKDF2: Final = _oid("1.2.840.113549.1.5.12")
_HMAC_SHA256: Final = der.sequence(_oid("1.2.840.113549.2.9"), der.NULL)
_SHA256: Final = der.sequence(_oid("2.16.840.1.101.3.4.2.1"), der.NULL)
_AES_256_CBC: Final = _oid("2.16.840.1.101.3.4.1.42")
_SM4_CBC: Final = _oid("1.2.156.10197.1.104.2")


def check_password(password: str) -> str:
    """Return it if a file may be trusted to it. Raises `Malformed`, without quoting it.

    ASCII only: PBES2 takes octets and the MAC UTF-16, and tools differ about everything else.
    """
    if _PASSWORD.fullmatch(password) is None or len(set(password)) < _DIFFERENT:
        raise Malformed(
            "the password of a PKCS#12 file is 12 to 128 printable ASCII characters, "
            f"at least {_DIFFERENT} of them different"
        )
    return password


def random_password() -> str:
    """Return 26 characters of a-z and 2-7: 130 bits."""
    return b32encode(secrets.token_bytes(_RANDOM_OCTETS)).decode().lower()[:_RANDOM_CHARACTERS]


def encode_pkcs12(
    key: SoftKey, certificates: Sequence[bytes], *, password: str, iterations: int = ITERATIONS
) -> bytes:
    """Write the key, its certificate and the rest of the chain, in this order.

    `iterations` is `RANDOM_ITERATIONS` for a password of `random_password`, and for no other.

    Raises `Malformed` for a password or certificates that will not do, and `Refused` when the
    first certificate is not the key's.
    """
    check_password(password)
    if not 1 <= len(certificates) <= MAX_CERTIFICATES:
        raise Malformed(f"a PKCS#12 file takes 1 to {MAX_CERTIFICATES} certificates")
    if public_key_of(certificates[0]) != key.public_key:
        raise Refused("the first certificate of the PKCS#12 file is another key's")
    scheme = _Scheme.draw(password, iterations, sm4=key.algorithm is KeyAlgorithm.SM2)
    # Readers find the certificate of a key by this attribute (RFC 2985, 5.5.2).
    same = der.wrap(
        der.SET,
        der.sequence(
            _LOCAL_KEY_ID, der.wrap(der.SET, der.encode(hashlib.sha256(key.public_key).digest()))
        ),
    )
    shrouded = der.sequence(*scheme.encrypt(key.pkcs8()))
    keys = der.sequence(der.sequence(_SHROUDED_KEY_BAG, der.explicit(0, shrouded), same))
    bags = [_certificate_bag(certificates[0], same), *map(_certificate_bag, certificates[1:])]
    contents = der.sequence(_encrypted(scheme, der.sequence(*bags)), _data(keys))
    return der.sequence(der.encode(_VERSION), _data(contents), _mac(contents, password, iterations))


@dataclass(frozen=True, slots=True, repr=False)
class _Scheme:
    """One key from the password, for the two encrypted parts of a file, each with its own IV."""

    key: bytes
    salt: bytes
    iterations: int
    sm4: bool

    @classmethod
    def draw(cls, password: str, iterations: int, *, sm4: bool) -> _Scheme:
        salt = secrets.token_bytes(_SALT_OCTETS)
        size = 16 if sm4 else 32
        key = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations, size)
        return cls(key, salt, iterations, sm4)

    def encrypt(self, plaintext: bytes) -> tuple[bytes, bytes]:
        """Return the AlgorithmIdentifier (RFC 8018, A.4), and an OCTET STRING."""
        iv = secrets.token_bytes(_BLOCK_OCTETS)
        encryptor = self._encryptor(iv)
        padder = padding.PKCS7(8 * _BLOCK_OCTETS).padder()
        padded = padder.update(plaintext) + padder.finalize()
        ciphertext = encryptor.update(padded) + encryptor.finalize()
        cost = (der.encode(self.salt), der.encode(self.iterations))
        derivation = der.sequence(_PBKDF2, der.sequence(*cost, _HMAC_SHA256))
        cipher = der.sequence(_SM4_CBC if self.sm4 else _AES_256_CBC, der.encode(iv))
        identifier = der.sequence(_PBES2, der.sequence(derivation, cipher))
        return identifier, der.encode(ciphertext)

    def _encryptor(self, iv: bytes) -> CipherContext:
        # CBC is what the format has; the MAC over the whole file is what authenticates.
        algorithm = algorithms.SM4(self.key) if self.sm4 else algorithms.AES256(self.key)
        return Cipher(algorithm, modes.CBC(iv)).encryptor()


def _certificate_bag(certificate: bytes, attributes: bytes = b"") -> bytes:
    bag = der.sequence(_X509_CERTIFICATE, der.explicit(0, der.encode(certificate)))
    return der.sequence(_CERTIFICATE_BAG, der.explicit(0, bag), attributes)


def _data(octets: bytes) -> bytes:
    return der.sequence(_DATA, der.explicit(0, der.encode(octets)))


def _encrypted(scheme: _Scheme, octets: bytes) -> bytes:
    """Return a ContentInfo of EncryptedData (RFC 5652, 8)."""
    identifier, ciphertext = scheme.encrypt(octets)
    content = der.sequence(_DATA, identifier, b"\x80" + ciphertext[1:])  # [0] IMPLICIT
    return der.sequence(_ENCRYPTED_DATA, der.explicit(0, der.sequence(der.encode(0), content)))


def _mac(contents: bytes, password: str, iterations: int) -> bytes:
    """Return MacData (RFC 7292, 4)."""
    salt = secrets.token_bytes(_SALT_OCTETS)
    digest = hmac.digest(_mac_key(password, salt, iterations), contents, "sha256")
    return der.sequence(
        der.sequence(_SHA256, der.encode(digest)), der.encode(salt), der.encode(iterations)
    )


def _mac_key(password: str, salt: bytes, iterations: int) -> bytes:
    """Derive the MAC key (RFC 7292, B.2) from the password in UTF-16 with its final zero."""
    text = password.encode("utf-16-be") + b"\x00\x00"
    lib = libcrypto.library()
    out = ffi.new("unsigned char[]", hashlib.sha256().digest_size)
    given = (text, len(text), salt, len(salt), _MAC_KEY_ID, iterations, len(out), out)
    if lib.PKCS12_key_gen_uni(*given, lib.EVP_sha256()) != 1:
        lib.ERR_clear_error()
        raise Refused("libcrypto did not derive the MAC key of a PKCS#12 file")
    return bytes(ffi.buffer(out))
