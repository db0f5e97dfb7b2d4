"""A private key of any kind in this process's memory.

What the software backend decrypts into, and what tests sign with. It does not know where its
octets are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from typing_extensions import override

from core.errors import Malformed, Refused
from keystore import keywrap, rsa_schemes, sm2, verify
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm

_RSA_BITS: Final = {
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}

PrivateKey = (
    sm2.PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
)


@dataclass(frozen=True, slots=True)
class SoftKey:
    """One private key, parsed once. Safe to share between threads."""

    algorithm: KeyAlgorithm
    public_key: bytes
    """DER SubjectPublicKeyInfo, in the one form we write."""
    private: PrivateKey

    @override
    def __repr__(self) -> str:
        return f"<SoftKey {self.algorithm}>"

    def sign(self, algorithm: SignatureAlgorithm, message: bytes) -> bytes:
        """Return the signatureValue octets. Raises `Refused` for another key's algorithm."""
        require_signs(self.algorithm, algorithm)
        private = self.private
        match private:
            case sm2.PrivateKey():
                return private.sign(message)
            case ed25519.Ed25519PrivateKey():
                return private.sign(message)
            case rsa.RSAPrivateKey():
                form = rsa_schemes.scheme(algorithm, message)
                if form is not None:
                    return private.sign(form.data, form.padding, form.algorithm)
            case ec.EllipticCurvePrivateKey():
                if algorithm in verify.ECDSA:
                    return private.sign(message, verify.ECDSA[algorithm])
        raise Refused(f"a key of {self.algorithm} does not sign {algorithm}")

    def decrypt_sm2(self, ciphertext: bytes) -> bytes:
        """Open a DER SM2Cipher. Raises `Refused` for other keys, `Malformed`."""
        if not isinstance(self.private, sm2.PrivateKey):
            raise Refused(f"a key of {self.algorithm} does not open SM2 ciphertexts")
        return self.private.decrypt(ciphertext)

    def unwrap_key(self, wrapped: bytes) -> bytes:
        """Open what `keywrap.wrap` made for this key. Raises `Refused`, `Malformed`."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return keywrap.unwrap(self.private, wrapped)
        return self.decrypt_sm2(wrapped)

    def pkcs8(self) -> bytes:
        """Return the private key in clear as DER PKCS#8, for whoever encrypts it at once."""
        if isinstance(self.private, sm2.PrivateKey):
            return self.private.pkcs8()
        return self.private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def require_signs(key: KeyAlgorithm, algorithm: SignatureAlgorithm) -> None:
    """Raises `Refused` unless such a key is used with that signature algorithm."""
    if algorithm not in key.signatures:
        raise Refused(f"a key of {key} does not sign {algorithm}")


def generate(algorithm: KeyAlgorithm) -> SoftKey:
    """Make a new key."""
    match algorithm:
        case KeyAlgorithm.SM2:
            return _soft(sm2.PrivateKey.generate())
        case KeyAlgorithm.EC_P256:
            return _soft(ec.generate_private_key(ec.SECP256R1()))
        case KeyAlgorithm.EC_P384:
            return _soft(ec.generate_private_key(ec.SECP384R1()))
        case KeyAlgorithm.ED25519:
            return _soft(ed25519.Ed25519PrivateKey.generate())
        case _:
            return _soft(rsa.generate_private_key(65537, _RSA_BITS[algorithm]))


def load(algorithm: KeyAlgorithm, pkcs8: bytes) -> SoftKey:
    """Parse PKCS#8 octets of a key of `algorithm`. Raises `Malformed`."""
    if algorithm is KeyAlgorithm.SM2:
        return _soft(sm2.PrivateKey(pkcs8))
    try:
        private = serialization.load_der_private_key(pkcs8, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed(f"this is no private key of {algorithm}") from error
    if not isinstance(
        private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    ):
        raise Malformed(f"this is no private key of {algorithm}")
    key = _soft(private)
    if key.algorithm is not algorithm:
        raise Malformed(f"this is a private key of {key.algorithm}, not of {algorithm}")
    return key


def _soft(private: PrivateKey) -> SoftKey:
    if isinstance(private, sm2.PrivateKey):
        return SoftKey(KeyAlgorithm.SM2, private.public_key, private)
    spki = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SoftKey(verify.key_algorithm(spki), spki, private)
