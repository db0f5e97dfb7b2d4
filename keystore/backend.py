"""The seam between this service and the place where private keys live.

Everything above this module holds a `Signer`, never a key. A backend is one module under
`keystore/backends/`; adding one means implementing `KeyBackend` and registering its URI scheme,
and touches nothing else.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.keyref import KeyRef
from keystore.wrap import KeyEncryptionKey


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """The public face of one private key."""

    ref: KeyRef
    algorithm: KeyAlgorithm
    public_key: bytes
    """DER SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), in the one form we write."""


class Signer(Protocol):
    """One private key and one signature algorithm, ready for use. Safe to share between threads."""

    @property
    def key(self) -> KeyInfo: ...

    @property
    def algorithm(self) -> SignatureAlgorithm: ...

    def sign(self, message: bytes) -> bytes:
        """Return the signatureValue octets for `message`, as X.509 carries them.

        The whole message is passed, never its digest: SM2 hashes the signer's identity in front of
        it (the ZA of GM/T 0003.2) and Ed25519 hashes it twice, so only the backend can know how to
        digest it. ECDSA and SM2 give DER ``SEQUENCE {r, s}``.

        Raises `BackendUnavailable` if the key cannot be reached.
        """
        ...


@runtime_checkable
class InMemory(Protocol):
    """A signer whose key is in this process: it waits for nobody."""

    @property
    def in_memory(self) -> bool: ...


class KeyBackend(Protocol):
    """Holds private keys and lends out signers for them.

    What every backend can do is here. What only some can do is a protocol of its own, like
    `DestroysKeys`, and the caller asks with `isinstance`: a backend must not implement a method
    only to raise from it.
    """

    def generate(self, ref: KeyRef, algorithm: KeyAlgorithm) -> KeyInfo:
        """Create a key that cannot leave the backend. Never replaces an existing one: `Conflict`.

        Raises `Refused` when the backend does not make such keys.
        """
        ...

    def find(self, ref: KeyRef) -> KeyInfo | None:
        """Return the public face of `ref`, or None."""
        ...

    def list_keys(self) -> tuple[KeyInfo, ...]:
        """Return the public face of every key of this backend."""
        ...

    def signer(self, ref: KeyRef, algorithm: SignatureAlgorithm | None = None) -> Signer:
        """Lend out the key named by `ref`. Raises `NotFound`.

        `algorithm` None means the key's own default (`KeyAlgorithm.default_signature`). Raises
        `Refused` when the key or the backend cannot sign with it.
        """
        ...

    def close(self) -> None:
        """Release sessions. Signers lent out earlier stop working (`BackendUnavailable`)."""
        ...


@runtime_checkable
class DestroysKeys(Protocol):
    """A backend that can also destroy keys."""

    def destroy(self, ref: KeyRef) -> None:
        """Make the key unusable for ever. Raises `NotFound`."""
        ...


class SealedKey(BaseModel):
    """One private key as a backup holds it, sealed under a key that the backup does not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ref: str = Field(max_length=300)
    algorithm: KeyAlgorithm
    public_key: str = Field(pattern=r"^([0-9a-f]{2})+$", max_length=4096)
    sealed: str = Field(pattern=r"^([0-9a-f]{2})+$", max_length=32_768)


@runtime_checkable
class BacksUpKeys(Protocol):
    """A backend whose keys can leave it, sealed, for a backup (`keystore.backup`)."""

    def seal_keys(self, under: KeyEncryptionKey, *, about: bytes) -> tuple[SealedKey, ...]:
        """Seal every key. `about` says what for, and must be the same at the restore."""
        ...

    def restore_key(self, key: SealedKey, under: KeyEncryptionKey, *, about: bytes) -> bool:
        """Put a key in place; False when it is there already.

        Raises `Conflict` when another key has its name, `Refused` when it does not open.
        """
        ...


@runtime_checkable
class DecryptsSM2(Protocol):
    """A backend that can also open SM2 ciphertexts (GB/T 32918.4), for key envelopes."""

    def decrypt_sm2(self, ref: KeyRef, ciphertext: bytes) -> bytes:
        """Open a DER SM2Cipher (C1, C3, C2). Raises `Malformed` when C3 does not match."""
        ...


@runtime_checkable
class WrapsKeys(Protocol):
    """A backend whose keys can have symmetric keys under them (`keystore.storagekey`).

    How they are wrapped is the backend's business: SM2 where it can, RSAES-OAEP (RFC 8017, 7.1)
    where it cannot.
    """

    def generate_wrapping(self, ref: KeyRef) -> KeyInfo:
        """Create a key for this and, where the backend tells uses apart, for nothing else.

        Raises `Conflict` as `generate` does.
        """
        ...

    def wrap_key(self, ref: KeyRef, key: bytes) -> bytes:
        """Encrypt at most 64 octets to the public half. Raises `NotFound`."""
        ...

    def unwrap_key(self, ref: KeyRef, wrapped: bytes) -> bytes:
        """Open what `wrap_key` made. Raises `NotFound`, `Malformed`, `Refused`."""
        ...


@runtime_checkable
class ServesTLS(Protocol):
    """A backend whose keys can serve TLS in this process (a software key must)."""

    def load_into(self, context: ssl.SSLContext, ref: KeyRef, chain_pem: bytes) -> None:
        """Give `context` the key and its certificate chain. Raises `NotFound`."""
        ...
