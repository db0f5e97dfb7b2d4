"""Backup of the keys: any three of five holders open it, no two do, and nothing is in clear."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from core.db import Database
from core.errors import Conflict, Malformed, Misconfigured, Refused
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from keystore.backends.software import SoftwareKeyBackend
from keystore.backup import (
    Parts,
    Share,
    make_backup,
    parse_backup,
    parse_share,
    restore_backup,
)
from keystore.registry import KeyStore
from keystore.verify import verify_signature
from keystore.wrap import Argon2idParameters
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import MemoryKeyBackend

QUICK = Argon2idParameters(memory_kib=8192, iterations=1, lanes=1)
PASSPHRASES = [f"holder number {number}".encode() for number in range(1, 6)]
KINDS = (KeyAlgorithm.SM2, KeyAlgorithm.EC_P256, KeyAlgorithm.ED25519)


def opened(directory: Path) -> KeyStore:
    software = SoftwareKeyBackend.open(directory, lambda: b"passphrase", parameters=QUICK)
    return KeyStore({"software": software, "memory": MemoryKeyBackend()})


class Desk:
    def __init__(self, tmp_path: Path, database: Database, audit: MemoryAuditLog) -> None:
        self.common = {"actor": "alice", "transactions": database, "audit": audit}
        self.audit, self.tmp_path = audit, tmp_path
        self.keystore = opened(tmp_path / "keys")
        for kind in KINDS:
            self.keystore.generate(keyref.make("software", object=kind), kind)

    def backup(self, *, threshold: int = 3, passphrases=PASSPHRASES) -> Parts:
        return make_backup(
            self.keystore,
            threshold=threshold,
            passphrases=passphrases,
            now=FakeClock().now(),
            parameters=QUICK,
            **self.common,
        )

    def restore(self, parts: Parts, shares, *, into: str = "empty", passphrases=PASSPHRASES):
        keystore = opened(self.tmp_path / into)

        def passphrase_of(share: Share) -> bytes:
            return passphrases[share.number - 1]

        count = restore_backup(
            keystore, parts.backup, shares, passphrase_of=passphrase_of, **self.common
        )
        return keystore, count


@pytest.fixture
def desk(tmp_path: Path, sqlite_database: Database, audit: MemoryAuditLog) -> Desk:
    return Desk(tmp_path, sqlite_database, audit)


def test_three_of_five_restore_every_key_into_an_empty_keystore(desk: Desk) -> None:
    parts = desk.backup()
    keystore, count = desk.restore(parts, parts.shares[1:4])
    assert count == len(KINDS)
    for info in desk.keystore.list_keys():
        signer = keystore.signer(info.ref)
        verify_signature(info.public_key, signer.algorithm, b"message", signer.sign(b"message"))
    assert desk.audit.actions == ["backup.made", "backup.restored"]


def test_any_three_do_and_no_two(desk: Desk) -> None:
    parts = desk.backup()
    for number, chosen in enumerate(combinations(parts.shares, 3)):
        assert desk.restore(parts, chosen, into=f"e{number}")[1] == len(KINDS)
    for chosen in combinations(parts.shares, 2):
        with pytest.raises(Refused, match="3 different shares"):
            desk.restore(parts, chosen)
    with pytest.raises(Refused, match="3 different shares"):
        desk.restore(parts, [parts.shares[0]] * 3)


def test_a_share_opens_under_its_own_passphrase_only(desk: Desk) -> None:
    parts = desk.backup()
    swapped = [PASSPHRASES[1], PASSPHRASES[0], *PASSPHRASES[2:]]
    with pytest.raises(Misconfigured, match="share 1"):
        desk.restore(parts, parts.shares[:3], passphrases=swapped)


def test_shares_of_another_backup_are_refused(desk: Desk) -> None:
    first, second = desk.backup(), desk.backup()
    with pytest.raises(Refused, match="another backup"):
        desk.restore(first, [*first.shares[:2], second.shares[2]])


def test_what_was_changed_does_not_open(desk: Desk) -> None:
    parts = desk.backup()
    share = parts.shares[0]
    flipped = share.sealed[:-2] + ("00" if share.sealed[-2:] != "00" else "11")
    with pytest.raises(Refused, match="share 1 was changed"):
        desk.restore(parts, [share.model_copy(update={"sealed": flipped}), *parts.shares[1:3]])
    first, second, *rest = parts.backup.keys
    for keys in (
        (first.model_copy(update={"sealed": second.sealed}), second, *rest),
        (first.model_copy(update={"ref": "software:object=x"}), second, *rest),
    ):
        changed = parts.backup.model_copy(update={"keys": keys})
        with pytest.raises(Refused, match="does not open"):
            desk.restore(Parts(changed, parts.shares), parts.shares[:3], into="e2")


def test_a_key_that_is_there_stays_and_another_is_never_replaced(desk: Desk) -> None:
    parts = desk.backup()
    keystore, _ = desk.restore(parts, parts.shares[:3])
    assert desk.restore(parts, parts.shares[:3])[1] == 0
    keystore.destroy(keyref.make("software", object="sm2"))
    keystore.generate(keyref.make("software", object="sm2"), KeyAlgorithm.SM2)
    with pytest.raises(Conflict, match="another key"):
        desk.restore(parts, parts.shares[:3])


def test_no_private_key_and_no_share_is_written_in_clear(desk: Desk) -> None:
    parts = desk.backup()
    written = parts.backup.model_dump_json() + "".join(s.model_dump_json() for s in parts.shares)
    for info in desk.keystore.list_keys():
        private = desk.keystore.backend_of(info.ref).private(info.ref).pkcs8()
        assert private.hex() not in written
        if info.algorithm is KeyAlgorithm.ED25519:
            assert private[-32:].hex() not in written
    assert "academic" not in written
    assert "holder" not in written
    assert desk.audit.events[0][2].keys() == {"backup", "keys", "shares", "threshold"}


@pytest.mark.parametrize(
    ("threshold", "passphrases", "says"),
    [
        (1, PASSPHRASES, "2 or more"),
        (6, PASSPHRASES, "2 or more"),
        (2, [b"long enough 1"], "2 or more"),
        (2, [b"short", b"long enough 1"], "12 octets"),
        (2, [b"long enough 1", b"long enough 1"], "same passphrase"),
    ],
)
def test_numbers_and_passphrases_that_make_no_sense_are_refused(
    desk: Desk, threshold: int, passphrases: list[bytes], says: str
) -> None:
    with pytest.raises(Refused, match=says):
        desk.backup(threshold=threshold, passphrases=passphrases)
    assert desk.audit.events == []


@pytest.mark.parametrize("octets", [b"", b"{}", b"[]", b"\xff", b'{"version": 2}'])
def test_a_file_that_is_no_backup_is_refused(octets: bytes) -> None:
    with pytest.raises(Malformed):
        parse_backup(octets)
    with pytest.raises(Malformed):
        parse_share(octets)
