"""Backup of the software keys, so that a few people together can open it and none of them alone.

A random key of 256 bits seals every private key. It is split k-of-n (SLIP-39: Shamir's scheme over
GF(256) with checksums), and each share is sealed again under its holder's own passphrase (Argon2id,
AES-256-GCM). SLIP-39's own passphrase is one for all holders and stays empty.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import shamir_mnemonic
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from shamir_mnemonic import MnemonicError

from core.audit import AuditLog
from core.errors import Malformed, Refused, TooLarge
from core.transaction import Transactions
from keystore import wrap
from keystore.backend import SealedKey
from keystore.registry import KeyStore
from keystore.wrap import Argon2idParameters, Header, KeyEncryptionKey

MAX_BACKUP_OCTETS: Final = 64 * 1024 * 1024
MAX_SHARE_OCTETS: Final = 16_384
MAX_SHARES: Final = 16
MIN_PASSPHRASE_OCTETS: Final = 12
_CHECK: Final = b"yinxin key backup"
_KEY_OCTETS: Final = 32


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Backup(_Model):
    """The file with every key. Useless without enough shares."""

    version: Literal[1] = 1
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    made_at: datetime
    threshold: int = Field(ge=2, le=MAX_SHARES)
    shares: int = Field(ge=2, le=MAX_SHARES)
    check: str = Field(pattern=r"^[0-9a-f]+$", max_length=200)
    keys: tuple[SealedKey, ...]


class Share(_Model):
    """One holder's file. Useless without the passphrase, and without the other holders."""

    version: Literal[1] = 1
    backup: str = Field(pattern=r"^[0-9a-f]{32}$")
    number: int = Field(ge=1, le=MAX_SHARES)
    shares: int = Field(ge=2, le=MAX_SHARES)
    threshold: int = Field(ge=2, le=MAX_SHARES)
    header: Header
    sealed: str = Field(pattern=r"^[0-9a-f]+$", max_length=4096)


@dataclass(frozen=True, slots=True)
class Parts:
    """A backup as it is written down."""

    backup: Backup
    shares: tuple[Share, ...]


def make_backup(
    keystore: KeyStore,
    *,
    threshold: int,
    passphrases: Sequence[bytes],
    now: datetime,
    actor: str,
    transactions: Transactions,
    audit: AuditLog,
    parameters: Argon2idParameters | None = None,
) -> Parts:
    """Seal every software key, and give each holder a share: one for each passphrase.

    Raises `Refused` for a number that makes no sense or a passphrase that is short or used twice.
    """
    _check_passphrases(threshold, passphrases)
    identity, secret = secrets.token_hex(16), secrets.token_bytes(_KEY_OCTETS)
    key = KeyEncryptionKey(secret)
    backup = Backup(
        id=identity,
        made_at=now,
        threshold=threshold,
        shares=len(passphrases),
        check=key.seal(_CHECK, about=_about(identity)).hex(),
        keys=keystore.seal_keys(key, about=_about(identity)),
    )
    (mnemonics,) = shamir_mnemonic.generate_mnemonics(
        1, [(threshold, len(passphrases))], secret, iteration_exponent=0
    )
    shares = []
    for number, (words, passphrase) in enumerate(zip(mnemonics, passphrases, strict=True), 1):
        header, own = wrap.create(passphrase, parameters or Argon2idParameters())
        share = Share(
            backup=identity,
            number=number,
            shares=len(passphrases),
            threshold=threshold,
            header=header,
            sealed=own.seal(words.encode(), about=_about(identity, number)).hex(),
        )
        shares.append(share)
    with transactions.transaction():
        audit.record(
            "backup.made",
            actor=actor,
            detail={
                "backup": identity,
                "keys": len(backup.keys),
                "shares": backup.shares,
                "threshold": threshold,
            },
        )
    return Parts(backup, tuple(shares))


def restore_backup(
    keystore: KeyStore,
    backup: Backup,
    shares: Sequence[Share],
    *,
    passphrase_of: Callable[[Share], bytes],
    actor: str,
    transactions: Transactions,
    audit: AuditLog,
) -> int:
    """Put every key of a backup into this keystore; return how many were missing.

    Raises `Refused` for shares that do not fit or are too few, `Misconfigured` for a wrong
    passphrase, and `Conflict` when another key stands under a name. A key that is there stays.
    """
    key = _key_of(backup, shares, passphrase_of)
    restored = keystore.restore_keys(backup.keys, key, about=_about(backup.id))
    with transactions.transaction():
        audit.record(
            "backup.restored",
            actor=actor,
            detail={"backup": backup.id, "keys": len(backup.keys), "restored": restored},
        )
    return restored


def parse_backup(octets: bytes) -> Backup:
    """Read a backup file. Raises `Malformed` or `TooLarge`."""
    if len(octets) > MAX_BACKUP_OCTETS:
        raise TooLarge(f"a key backup has at most {MAX_BACKUP_OCTETS} octets")
    try:
        return Backup.model_validate_json(octets)
    except ValidationError as error:
        raise Malformed(f"this is no key backup: {_fields(error)}") from error


def parse_share(octets: bytes) -> Share:
    """Read a share file. Raises `Malformed` or `TooLarge`."""
    if len(octets) > MAX_SHARE_OCTETS:
        raise TooLarge(f"a share has at most {MAX_SHARE_OCTETS} octets")
    try:
        return Share.model_validate_json(octets)
    except ValidationError as error:
        raise Malformed(f"this is no share of a key backup: {_fields(error)}") from error


def _key_of(
    backup: Backup, shares: Sequence[Share], passphrase_of: Callable[[Share], bytes]
) -> KeyEncryptionKey:
    by_number = {share.number: share for share in shares}
    for share in by_number.values():
        if share.backup != backup.id:
            raise Refused(f"share {share.number} is of another backup ({share.backup})")
    if len(by_number) < backup.threshold:
        raise Refused(
            f"{backup.threshold} different shares open this backup, and {len(by_number)} are here"
        )
    words = []
    for share in list(by_number.values())[: backup.threshold]:
        where = f"share {share.number}"
        own = wrap.unlock(share.header, passphrase_of(share), where=where)
        try:
            about = _about(backup.id, share.number)
            words.append(own.open(bytes.fromhex(share.sealed), about=about).decode())
        except ValueError as error:
            raise Refused(f"{where} was changed: it does not open") from error
    try:
        key = KeyEncryptionKey(shamir_mnemonic.combine_mnemonics(words))
        key.open(bytes.fromhex(backup.check), about=_about(backup.id))
    except (MnemonicError, ValueError) as error:
        raise Refused("the shares do not open this backup") from error
    return key


def check_numbers(threshold: int, shares: int) -> None:
    """Raises `Refused` for what no backup can have."""
    if not 2 <= threshold <= shares <= MAX_SHARES:
        raise Refused(
            f"a backup has 2 to {MAX_SHARES} shares, and 2 or more of them open it: "
            f"{threshold} of {shares} is not possible"
        )


def _check_passphrases(threshold: int, passphrases: Sequence[bytes]) -> None:
    check_numbers(threshold, len(passphrases))
    if any(len(passphrase) < MIN_PASSPHRASE_OCTETS for passphrase in passphrases):
        raise Refused(f"a share's passphrase has {MIN_PASSPHRASE_OCTETS} octets or more")
    if len(set(passphrases)) != len(passphrases):
        raise Refused("two shares have the same passphrase: each holder chooses another")


def _about(identity: str, share: int | None = None) -> bytes:
    return json.dumps(["key backup", 1, identity, share]).encode()


def _fields(error: ValidationError) -> str:
    return ", ".join(".".join(map(str, item["loc"])) or "JSON" for item in error.errors()[:5])
