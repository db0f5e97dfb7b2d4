"""From configuration to key backends, and one backend in front of them all."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import Misconfigured, NotFound, Refused
from keystore import keyref, pin, sm2
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import (
    BacksUpKeys,
    DecryptsSM2,
    DestroysKeys,
    KeyBackend,
    KeyInfo,
    SealedKey,
    ServesTLS,
    Signer,
    WrapsKeys,
)
from keystore.config import KeystoreConfig
from keystore.keyref import KeyRef
from keystore.pin import SecretSource
from keystore.wrap import KeyEncryptionKey


class KeyStore:
    """A key backend that hands each reference to the backend of its scheme.

    It has every optional ability in name; the backend behind a reference may lack it, and then
    the call raises `Refused`.
    """

    def __init__(self, backends: Mapping[str, KeyBackend]) -> None:
        self._backends = dict(backends)

    def generate(self, ref: KeyRef, algorithm: KeyAlgorithm) -> KeyInfo:
        return self.backend_of(ref).generate(ref, algorithm)

    def find(self, ref: KeyRef) -> KeyInfo | None:
        return self.backend_of(ref).find(ref)

    def list_keys(self) -> tuple[KeyInfo, ...]:
        return tuple(info for backend in self._backends.values() for info in backend.list_keys())

    def signer(self, ref: KeyRef, algorithm: SignatureAlgorithm | None = None) -> Signer:
        return self.backend_of(ref).signer(ref, algorithm)

    def destroy(self, ref: KeyRef) -> None:
        backend = self.backend_of(ref)
        if not isinstance(backend, DestroysKeys):
            raise Refused(f"the backend of {ref} does not destroy keys")
        backend.destroy(ref)

    def decrypt_sm2(self, ref: KeyRef, ciphertext: bytes) -> bytes:
        backend = self.backend_of(ref)
        if not isinstance(backend, DecryptsSM2):
            raise Refused(f"the backend of {ref} does not open SM2 ciphertexts")
        return backend.decrypt_sm2(ref, ciphertext)

    def generate_wrapping(self, ref: KeyRef) -> KeyInfo:
        return self._wrapping(ref).generate_wrapping(ref)

    def wrap_key(self, ref: KeyRef, key: bytes) -> bytes:
        return self._wrapping(ref).wrap_key(ref, key)

    def unwrap_key(self, ref: KeyRef, wrapped: bytes) -> bytes:
        return self._wrapping(ref).unwrap_key(ref, wrapped)

    def _wrapping(self, ref: KeyRef) -> WrapsKeys:
        backend = self.backend_of(ref)
        if not isinstance(backend, WrapsKeys):
            raise Refused(f"the backend of {ref} keeps no keys under its own")
        return backend

    def load_into(self, context: ssl.SSLContext, ref: KeyRef, chain_pem: bytes) -> None:
        backend = self.backend_of(ref)
        if not isinstance(backend, ServesTLS):
            raise Refused(f"the backend of {ref} does not serve TLS")
        backend.load_into(context, ref, chain_pem)

    def seal_keys(self, under: KeyEncryptionKey, *, about: bytes) -> tuple[SealedKey, ...]:
        found = (one for one in self._backends.values() if isinstance(one, BacksUpKeys))
        return tuple(key for backend in found for key in backend.seal_keys(under, about=about))

    def restore_keys(
        self, keys: Sequence[SealedKey], under: KeyEncryptionKey, *, about: bytes
    ) -> int:
        """Put keys in place; return how many were missing. Raises as `BacksUpKeys` does."""
        return sum(self._restore(key, under, about) for key in keys)

    def _restore(self, key: SealedKey, under: KeyEncryptionKey, about: bytes) -> bool:
        backend = self.backend_of(keyref.parse(key.ref))
        if not isinstance(backend, BacksUpKeys):
            raise Refused(f"the backend of {key.ref} does not take keys from a backup")
        return backend.restore_key(key, under, about=about)

    def close(self) -> None:
        for backend in self._backends.values():
            backend.close()

    def backend_of(self, ref: KeyRef) -> KeyBackend:
        """Return the backend behind a reference. Raises `NotFound` when there is none."""
        scheme = keyref.scheme_of(ref)
        found = self._backends.get(scheme)
        if found is None:
            known = ", ".join(sorted(self._backends))
            raise NotFound(f"no key backend for {scheme!r} is configured (there is: {known})")
        return found


def open_keystore(
    config: KeystoreConfig,
    *,
    directory: Path,
    passphrase: SecretSource | None = None,
    pkcs11_pin: SecretSource | None = None,
) -> KeyStore:
    """Open every configured backend.

    `directory` is the software keystore's place when the configuration names none. A configured
    file wins over `passphrase` and `pkcs11_pin`. The PIN is fetched when the token is first used.
    Raises `Misconfigured`.
    """
    # Backends are imported here and only when configured: a missing vendor module is nobody's
    # business who does not use it.
    from keystore.backends.software import SCHEME, SoftwareKeyBackend  # noqa: PLC0415

    sm2.require_sm2(config.libcrypto_path)
    if config.passphrase_file is not None:
        passphrase = pin.from_file(config.passphrase_file)
    if passphrase is None:
        raise Misconfigured("the software keystore needs a passphrase: keystore.passphrase_file")
    software = SoftwareKeyBackend.open(config.directory or directory, passphrase)
    backends: dict[str, KeyBackend] = {SCHEME: software}
    if config.pkcs11 is not None:
        from keystore.backends.pkcs11 import SCHEME as PKCS11  # noqa: PLC0415
        from keystore.backends.pkcs11 import open_token  # noqa: PLC0415

        if config.pkcs11.pin_file is not None:
            pkcs11_pin = pin.from_file(config.pkcs11.pin_file)
        if pkcs11_pin is None:
            raise Misconfigured("the PKCS#11 token needs a PIN: keystore.pkcs11.pin_file")
        backends[PKCS11] = open_token(config.pkcs11, pkcs11_pin)
    return KeyStore(backends)
