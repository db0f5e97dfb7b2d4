"""What an installation says about where its keys live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from keystore.keywrap import OAEPDigest

Number = Annotated[int, Field(ge=0x80000000, le=0xFFFFFFFF)]
"""A vendor defined value of PKCS#11: CKK_VENDOR_DEFINED and CKM_VENDOR_DEFINED or above."""


class VendorSM2Config(BaseModel):
    """How one vendor's module does SM2: PKCS#11 3.2 has no names for it (docs/hsm.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_type: Number
    """CKK_… of an SM2 key."""
    key_generation_mechanism: Number
    """CKM_… that makes an SM2 key pair."""
    sign_mechanism: Number
    """CKM_… that signs."""
    sign_mode: Literal["digest-e", "hash-inside"] = "digest-e"
    """``digest-e``: the mechanism signs the 32 octets e, and we compute Z. ``hash-inside``: it
    takes the message, and hashes it with the default identity."""
    signature_format: Literal["raw", "der", "detect"] = "detect"
    """``raw``: r and s, 64 octets. ``der``: SEQUENCE. ``detect``: by length and first octet."""


class PKCS11Config(BaseModel):
    """One token behind one PKCS#11 module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: Path
    """The vendor's shared library, like ``/usr/lib/softhsm/libsofthsm2.so``."""
    token: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")
    """The token's label, as key references name it."""
    pin_file: Path | None = None
    """A file only its owner can read. Without it the PIN comes from the environment."""
    oaep_digest: OAEPDigest = "sha256"
    """Of RSAES-OAEP, for storage keys on the token. SoftHSM knows ``sha1`` only."""
    sm2: VendorSM2Config | None = None


class KeystoreConfig(BaseModel):
    """Where private keys live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path | None = None
    """Of the software keystore; default: ``keystore`` in the state directory."""
    passphrase_file: Path | None = None
    """Opens the software keystore; a file only its owner can read."""
    libcrypto_path: str | None = None
    """Another libcrypto for SM2 than the system's, such as Tongsuo's."""
    pkcs11: PKCS11Config | None = None
