"""Keys in files, encrypted under a passphrase. Scheme ``software``.

One file a key, ``<object>.key``, next to ``keystore.json``, whose header makes the key-encryption
key again from the passphrase. A sealed key is bound to its name, algorithm and public key, so that
files cannot be swapped. While the process runs, used keys are in its memory in clear.

No lock is held anywhere: a fork at any moment leaves a child that works, and the worst that two
threads can do is parse the same file twice.
"""

from __future__ import annotations

import json
import secrets
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cryptography.hazmat.primitives import serialization
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import BackendUnavailable, Conflict, Malformed, Misconfigured, NotFound, Refused
from keystore import files, keyref, keywrap, sm2, softkey, wrap
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import KeyInfo, SealedKey, Signer
from keystore.keyref import KeyRef
from keystore.pin import SecretSource
from keystore.softkey import SoftKey
from keystore.wrap import Argon2idParameters, KeyEncryptionKey

SCHEME: Final = "software"
_HEADER_FILE: Final = "keystore.json"
_SUFFIX: Final = ".key"


class _KeyFile(BaseModel):
    """The content of one key file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    algorithm: KeyAlgorithm
    public_key: str = Field(pattern=r"^([0-9a-f]{2})+$")
    sealed: str = Field(pattern=r"^([0-9a-f]{2})+$")


class SoftwareKeyBackend:
    """Keys in one directory. Safe to share between threads and across a fork."""

    def __init__(self, directory: Path, key: KeyEncryptionKey) -> None:
        self._directory = directory
        self._kek: KeyEncryptionKey | None = key
        self._loaded: dict[KeyRef, SoftKey] = {}

    @classmethod
    def open(
        cls,
        directory: Path,
        passphrase: SecretSource,
        *,
        parameters: Argon2idParameters | None = None,
    ) -> SoftwareKeyBackend:
        """Open the keystore in `directory`, or make one if the directory is empty or missing.

        Raises `Misconfigured` for a wrong passphrase, a damaged header, keys without a header or a
        directory that others can read; nothing is touched then.
        """
        files.private_directory(directory)
        header_file = directory / _HEADER_FILE
        try:
            if not header_file.exists():
                return cls(directory, _create(header_file, passphrase, parameters))
            files.require_private(header_file, 0o600)
            header = wrap.parse_header(header_file.read_text("ascii"), where=str(header_file))
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"cannot read or write {header_file}: {error}") from error
        return cls(directory, wrap.unlock(header, passphrase(), where=str(directory)))

    def generate(self, ref: KeyRef, algorithm: KeyAlgorithm) -> KeyInfo:
        path = self._path(ref)
        kek = self._require_open()
        if path.exists():
            raise Conflict(f"the key {ref} exists, and is never replaced")
        key = softkey.generate(algorithm)
        self._write(path, ref, key, kek)
        return KeyInfo(ref, key.algorithm, key.public_key)

    def seal_keys(self, under: KeyEncryptionKey, *, about: bytes) -> tuple[SealedKey, ...]:
        return tuple(self._sealed(info, under, about) for info in self.list_keys())

    def restore_key(self, key: SealedKey, under: KeyEncryptionKey, *, about: bytes) -> bool:
        ref, kek = keyref.parse(key.ref), self._require_open()
        there = self.find(ref)
        if there is not None:
            if there.public_key.hex() == key.public_key:
                return False
            raise Conflict(f"another key is in the place of {ref}: restore into an empty keystore")
        public_key = bytes.fromhex(key.public_key)
        try:
            bound = about + _about(ref, key.algorithm, public_key)
            opened = softkey.load(key.algorithm, under.open(bytes.fromhex(key.sealed), about=bound))
        except (ValueError, Malformed) as error:
            raise Refused(f"the backup of {ref} was changed: it does not open") from error
        if opened.public_key != public_key:
            raise Refused(f"the backup of {ref} holds another key than it says")
        self._write(self._path(ref), ref, opened, kek)
        return True

    def _sealed(self, info: KeyInfo, under: KeyEncryptionKey, about: bytes) -> SealedKey:
        bound = about + _about(info.ref, info.algorithm, info.public_key)
        return SealedKey(
            ref=info.ref,
            algorithm=info.algorithm,
            public_key=info.public_key.hex(),
            sealed=under.seal(self.private(info.ref).pkcs8(), about=bound).hex(),
        )

    def _write(self, path: Path, ref: KeyRef, key: SoftKey, kek: KeyEncryptionKey) -> None:
        sealed = kek.seal(key.pkcs8(), about=_about(ref, key.algorithm, key.public_key))
        content = _KeyFile(
            algorithm=key.algorithm, public_key=key.public_key.hex(), sealed=sealed.hex()
        )
        try:
            files.write_new(path, content.model_dump_json(indent=1).encode() + b"\n")
        except OSError as error:
            raise BackendUnavailable(f"the key {ref} cannot be written: {error}") from error
        self._loaded[ref] = key

    def find(self, ref: KeyRef) -> KeyInfo | None:
        try:
            key = self.private(ref)
        except NotFound:
            return None
        return KeyInfo(ref, key.algorithm, key.public_key)

    def list_keys(self) -> tuple[KeyInfo, ...]:
        self._require_open()
        names = sorted(path.name.removesuffix(_SUFFIX) for path in self._directory.glob("*.key"))
        found = (self.find(keyref.make(SCHEME, object=name)) for name in names)
        return tuple(info for info in found if info is not None)

    def signer(self, ref: KeyRef, algorithm: SignatureAlgorithm | None = None) -> Signer:
        key = self.private(ref)
        chosen = algorithm or key.algorithm.default_signature
        softkey.require_signs(key.algorithm, chosen)
        return SoftwareSigner(KeyInfo(ref, key.algorithm, key.public_key), chosen, self)

    def destroy(self, ref: KeyRef) -> None:
        """Remove the key file. What the disk or a backup remembers stays sealed."""
        self._require_open()
        try:
            files.remove(self._path(ref))
        except FileNotFoundError as error:
            raise NotFound(f"there is no key {ref}") from error
        self._loaded.pop(ref, None)

    def decrypt_sm2(self, ref: KeyRef, ciphertext: bytes) -> bytes:
        return self.private(ref).decrypt_sm2(ciphertext)

    def generate_wrapping(self, ref: KeyRef) -> KeyInfo:
        return self.generate(ref, KeyAlgorithm.SM2)

    def wrap_key(self, ref: KeyRef, key: bytes) -> bytes:
        return keywrap.wrap(self.private(ref).public_key, key)

    def unwrap_key(self, ref: KeyRef, wrapped: bytes) -> bytes:
        return self.private(ref).unwrap_key(wrapped)

    def load_into(self, context: ssl.SSLContext, ref: KeyRef, chain_pem: bytes) -> None:
        """Give `context` key and chain. Raises `Misconfigured` if they do not belong together.

        `ssl` reads keys from files only. The file is encrypted under a passphrase drawn for this
        one call, so that nothing is lost when the process dies before removing it.
        """
        private = self.private(ref).private
        if isinstance(private, sm2.PrivateKey):
            raise Refused(f"{ref} is an SM2 key, which Python's TLS cannot serve")
        passphrase = secrets.token_bytes(32).hex()
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".tls-") as file:
            file.write(chain_pem + b"\n" + pem)
            file.flush()
            try:
                context.load_cert_chain(file.name, password=passphrase)
            except ssl.SSLError as error:
                raise Misconfigured(
                    f"the key {ref} and the TLS certificate do not fit: {error.reason}"
                ) from error

    def close(self) -> None:
        self._kek = None
        self._loaded.clear()

    def private(self, ref: KeyRef) -> SoftKey:
        """Return the key itself. Only for this backend's own signers."""
        kek = self._require_open()
        known = self._loaded.get(ref)
        if known is None:
            known = self._loaded.setdefault(ref, self._read(ref, kek))
        return known

    def _read(self, ref: KeyRef, kek: KeyEncryptionKey) -> SoftKey:
        path = self._path(ref)
        try:
            files.require_private(path, 0o600)
            content = _KeyFile.model_validate_json(path.read_bytes())
            public_key = bytes.fromhex(content.public_key)
            about = _about(ref, content.algorithm, public_key)
            pkcs8 = kek.open(bytes.fromhex(content.sealed), about=about)
            key = softkey.load(content.algorithm, pkcs8)
        except FileNotFoundError as error:
            raise NotFound(f"there is no key {ref}") from error
        except (OSError, ValidationError, ValueError, Malformed) as error:
            # Neither the file nor the parser's words: both may quote what is inside.
            raise BackendUnavailable(
                f"the key file {path} is damaged or unreadable ({type(error).__name__}); "
                "restore it from a backup"
            ) from error
        if key.public_key != public_key:
            raise BackendUnavailable(f"the key file {path} holds another key than it says")
        return key

    def _path(self, ref: KeyRef) -> Path:
        attributes = keyref.attributes_of(ref)
        if keyref.scheme_of(ref) != SCHEME or set(attributes) != {"object"}:
            raise Malformed(f"{ref} is not of the form {SCHEME}:object=name")
        return self._directory / (attributes["object"] + _SUFFIX)

    def _require_open(self) -> KeyEncryptionKey:
        if self._kek is None:
            raise BackendUnavailable("the software keystore is closed")
        return self._kek


@dataclass(frozen=True, slots=True)
class SoftwareSigner:
    """Signs with a key of the software backend, as long as that has it."""

    key: KeyInfo
    algorithm: SignatureAlgorithm
    _backend: SoftwareKeyBackend

    @property
    def in_memory(self) -> bool:
        return True

    def sign(self, message: bytes) -> bytes:
        return self._backend.private(self.key.ref).sign(self.algorithm, message)


def _create(
    header_file: Path, passphrase: SecretSource, parameters: Argon2idParameters | None
) -> KeyEncryptionKey:
    orphan = next(header_file.parent.glob("*.key"), None)
    if orphan is not None:
        raise Misconfigured(
            f"{orphan} has no {_HEADER_FILE} beside it; without it no key can be opened: "
            "restore it from a backup"
        )
    header, key = wrap.create(passphrase(), parameters or Argon2idParameters())
    try:
        files.write_new(header_file, header.model_dump_json(indent=1).encode() + b"\n")
    except Conflict as error:
        raise Misconfigured("another process made this keystore just now; start again") from error
    return key


def _about(ref: KeyRef, algorithm: KeyAlgorithm, public_key: bytes) -> bytes:
    return json.dumps(["key", 1, ref, algorithm, public_key.hex()]).encode()
