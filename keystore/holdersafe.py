"""Private keys that this service makes for others, from their making until they are fetched.

Each batch of them has a data key; that one is sealed to a storage key that stays in the keystore,
so that forgetting it forgets every private key of the batch. Only sealed octets leave this module.
"""

from __future__ import annotations

import json
import logging
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from core.errors import BackendUnavailable, Malformed, Refused
from keystore import sm4, softkey
from keystore.algorithms import KeyAlgorithm
from keystore.envelope import decode_enveloped_key, open_envelope
from keystore.keyref import KeyRef
from keystore.pkcs12 import RANDOM_ITERATIONS, encode_pkcs12, random_password
from keystore.storagekey import StorageBackend, StorageKey

log = logging.getLogger(__name__)

_KEY: Final = "key"
_FILES: Final = "files"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A private key that was made and sealed."""

    public_key: bytes
    """DER SubjectPublicKeyInfo."""
    sealed: bytes


@dataclass(frozen=True, slots=True)
class EncryptionHalf:
    """The other certificate of a pair, and its key enveloped to the signing key."""

    certificate: bytes
    enveloped: bytes
    """DER SM2EnvelopedKey."""


class HolderSafe:
    """Makes and opens data keys."""

    def __init__(self, keystore: StorageBackend, storage_key: KeyRef) -> None:
        self._storage_key = StorageKey(keystore, storage_key)

    def new_data_key(self) -> bytes:
        """Return a new data key, sealed. Makes the storage key on first use."""
        self._storage_key.make()  # which shows that what it seals is not lost
        return self._storage_key.wrap(secrets.token_bytes(sm4.KEY_OCTETS))

    def open(self, sealed: bytes) -> DataKey:
        """Raises `BackendUnavailable` when the storage key is not there or does not open it."""
        return DataKey(self._storage_key.unwrap(sealed, what="the data key of this batch"))


class DataKey:
    """Makes, seals and finishes the private keys of one batch."""

    def __init__(self, key: bytes) -> None:
        self.__key = key

    @override
    def __repr__(self) -> str:
        return "<DataKey>"

    def make(self, algorithm: KeyAlgorithm, *, owner: str) -> NewKey:
        """Make a private key for `owner`, the id of its request."""
        key = softkey.generate(algorithm)
        return NewKey(key.public_key, self._seal(_KEY, owner, algorithm, key.pkcs8()))

    def finish(
        self,
        sealed: bytes,
        *,
        owner: str,
        algorithm: KeyAlgorithm,
        certificate: bytes,
        chain: Sequence[bytes],
        encryption: EncryptionHalf | None,
    ) -> bytes:
        """Turn a sealed private key into its sealed PKCS#12 files, under a new random password.

        Raises `BackendUnavailable` when it does not open, or is not the certificate's.
        """
        try:
            key = softkey.load(algorithm, self._open(_KEY, owner, algorithm, sealed))
            password = random_password()
            files = {"": _file(key, certificate, chain, password)}
            if encryption is not None:
                private = open_envelope(decode_enveloped_key(encryption.enveloped), key.decrypt_sm2)
                half = softkey.load(KeyAlgorithm.SM2, private.pkcs8())
                files["-encryption"] = _file(half, encryption.certificate, chain, password)
        except (Malformed, Refused, ValueError) as error:
            # Not the parser's words: they may quote what is inside.
            raise BackendUnavailable(f"the private key of request {owner} does not open") from error
        body = json.dumps({"password": password, "files": files}).encode("ascii")
        return self._seal(_FILES, owner, algorithm, body)

    def files(self, sealed: bytes, *, owner: str, algorithm: KeyAlgorithm) -> HolderFiles:
        """Open what `finish` sealed. For `keystore.package`, which encrypts it to a recipient."""
        try:
            body = json.loads(self._open(_FILES, owner, algorithm, sealed))
        except ValueError as error:
            raise BackendUnavailable(f"the file of request {owner} does not open") from error
        files = {suffix: b64decode(octets) for suffix, octets in body["files"].items()}
        return HolderFiles(body["password"], files)

    def _seal(self, kind: str, owner: str, algorithm: KeyAlgorithm, octets: bytes) -> bytes:
        return sm4.seal(self.__key, octets, about=_about(kind, owner, algorithm))

    def _open(self, kind: str, owner: str, algorithm: KeyAlgorithm, sealed: bytes) -> bytes:
        return sm4.unseal(self.__key, sealed, about=_about(kind, owner, algorithm))


@dataclass(frozen=True, slots=True, repr=False)
class HolderFiles:
    """The PKCS#12 files of one holder by the end of their name, and their password. Secret."""

    password: str
    files: dict[str, bytes]


def _file(key: softkey.SoftKey, certificate: bytes, chain: Sequence[bytes], password: str) -> str:
    octets = encode_pkcs12(
        key, (certificate, *chain), password=password, iterations=RANDOM_ITERATIONS
    )
    return b64encode(octets).decode("ascii")


def _about(kind: str, owner: str, algorithm: KeyAlgorithm) -> bytes:
    return json.dumps(["holder key", 1, kind, owner, algorithm]).encode()
