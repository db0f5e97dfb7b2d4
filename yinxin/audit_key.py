"""The key that signs checkpoints of the audit chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from keystore import keyref
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import KeyBackend, Signer
from keystore.verify import verify_signature

AUDIT_KEY: Final = keyref.make("software", object="audit-1")


@dataclass(frozen=True, slots=True)
class AuditPublicKey:
    """`core.audit_chain.CheckpointVerifier` for whoever has the public key and nothing else."""

    spki: bytes

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises `InvalidSignature`."""
        verify_signature(self.spki, SignatureAlgorithm.SM2_SM3, message, signature)


@dataclass(frozen=True, slots=True)
class AuditKey:
    """`core.audit_chain.CheckpointSigner` over the keystore: SM2."""

    signer: Signer

    @classmethod
    def open(cls, keystore: KeyBackend) -> Self:
        """Take the audit key, making it at first start."""
        if keystore.find(AUDIT_KEY) is None:
            keystore.generate(AUDIT_KEY, KeyAlgorithm.SM2)
        return cls(keystore.signer(AUDIT_KEY))

    @property
    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self.signer.key.public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a checkpoint."""
        return self.signer.sign(message)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises `InvalidSignature`."""
        AuditPublicKey(self.public_key).verify(message, signature)
