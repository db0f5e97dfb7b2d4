"""Secrets at rest: a key-encryption key from a passphrase, and sealing under it.

Argon2id (RFC 9106) makes the key, AES-256-GCM seals. The header holds what is needed to make the
key again, and a sealed check value, so that a wrong passphrase is known before any key is read.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.argon2 import SEVERAL_LANES
from core.errors import Misconfigured

_NONCE_OCTETS: Final = 12
_SALT_OCTETS: Final = 16
_CHECK: Final = b"yinxin software keystore"


class Argon2idParameters(BaseModel):
    """How expensive a guess is. The default is the second choice of RFC 9106, section 4."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The bounds keep a damaged or planted header from taking all memory.
    memory_kib: int = Field(default=65_536, ge=8_192, le=1_048_576)
    iterations: int = Field(default=3, ge=1, le=32)
    lanes: int = Field(default=4, ge=1, le=16)


class Header(BaseModel):
    """What stands in front of sealed keys. Nothing in it is secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    key_derivation: Literal["argon2id"] = "argon2id"
    parameters: Argon2idParameters
    salt: str = Field(pattern=r"^[0-9a-f]{32}$")
    check: str = Field(pattern=r"^[0-9a-f]{104}$")


@dataclass(frozen=True, slots=True, repr=False)
class KeyEncryptionKey:
    """Seals and opens, each time for one purpose that `about` names."""

    _key: bytes

    def seal(self, plaintext: bytes, *, about: bytes) -> bytes:
        """Return nonce and ciphertext. A nonce of 96 random bits is safe for 2^32 of them."""
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        return nonce + AESGCM(self._key).encrypt(nonce, plaintext, about)

    def open(self, sealed: bytes, *, about: bytes) -> bytes:
        """Return the plaintext. Raises `ValueError` if anything of it was changed."""
        try:
            return AESGCM(self._key).decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], about)
        except InvalidTag as error:
            raise ValueError("it does not open") from error


def create(passphrase: bytes, parameters: Argon2idParameters) -> tuple[Header, KeyEncryptionKey]:
    """Make a new key-encryption key, and the header to find it again."""
    salt = secrets.token_bytes(_SALT_OCTETS)
    key = _derive(passphrase, salt, parameters)
    check = key.seal(_CHECK, about=_about(salt, parameters))
    return Header(parameters=parameters, salt=salt.hex(), check=check.hex()), key


def parse_header(text: str, *, where: str) -> Header:
    """Read a header. Raises `Misconfigured`."""
    try:
        return Header.model_validate_json(text)
    except ValidationError as error:
        fields = ", ".join(".".join(str(step) for step in item["loc"]) for item in error.errors())
        raise Misconfigured(
            f"{where} is damaged or from a newer version ({fields or 'not JSON'})"
        ) from error


def unlock(header: Header, passphrase: bytes, *, where: str) -> KeyEncryptionKey:
    """Make the key-encryption key again. Raises `Misconfigured` for a wrong passphrase."""
    salt = bytes.fromhex(header.salt)
    key = _derive(passphrase, salt, header.parameters)
    try:
        key.open(bytes.fromhex(header.check), about=_about(salt, header.parameters))
    except ValueError as error:
        raise Misconfigured(f"the passphrase does not open {where}; nothing was changed") from error
    return key


def _derive(passphrase: bytes, salt: bytes, parameters: Argon2idParameters) -> KeyEncryptionKey:
    derivation = Argon2id(
        salt=salt,
        length=32,
        iterations=parameters.iterations,
        lanes=parameters.lanes,
        memory_cost=parameters.memory_kib,
    )
    with SEVERAL_LANES:
        return KeyEncryptionKey(derivation.derive(passphrase))


def _about(salt: bytes, parameters: Argon2idParameters) -> bytes:
    return b"header:" + salt + parameters.model_dump_json().encode()
