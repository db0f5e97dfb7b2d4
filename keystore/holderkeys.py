"""Keys that this service makes for a holder, and hands over in a PKCS#12 file: soft certificates.

The key lives in this object only, from its making to the file; nothing else of it comes out, and
no row ever holds it. Whoever loses the file asks for a new certificate.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from keystore import softkey
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.pkcs12 import encode_pkcs12


class HolderKey:
    """One private key of a holder, in this process's memory until it is handed over."""

    def __init__(self, key: softkey.SoftKey) -> None:
        self.__key = key

    @property
    def algorithm(self) -> KeyAlgorithm:
        return self.__key.algorithm

    @property
    def signature_algorithm(self) -> SignatureAlgorithm:
        """The one that `sign` uses: the key's default."""
        return self.__key.algorithm.default_signature

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo, in the one form we write."""
        return self.__key.public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signatureValue octets, for a CSR's proof of possession."""
        return self.__key.sign(self.signature_algorithm, message)

    def pkcs12(self, certificate: bytes, chain: Sequence[bytes], password: str) -> bytes:
        """Return key, certificate and chain (DER) behind the password.

        Raises `Malformed` for a weak password, and `Refused` for another key's certificate.
        """
        return encode_pkcs12(self.__key, (certificate, *chain), password=password)

    @override
    def __repr__(self) -> str:
        return f"<HolderKey {self.algorithm}>"


def generate(algorithm: KeyAlgorithm) -> HolderKey:
    """Make a new key."""
    return HolderKey(softkey.generate(algorithm))
