"""PKCS#12 files of ours before judges."""

from __future__ import annotations

import pytest

from core.db import Database
from keystore.algorithms import KeyAlgorithm
from keystore.holderkeys import HolderKey
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.judges import JudgeSaysNo, bouncycastle, openssl
from tests.judges.octets import flipped
from tests.unit.ca.conftest import Authority
from tests.unit.keystore.test_pkcs12 import PASSWORD, certified, shared_key

pytestmark = pytest.mark.judge


@pytest.fixture
def authority(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> Authority:
    return Authority(sqlite_database, clock, audit)


@pytest.mark.parametrize(
    ("algorithm", "cipher"),
    [
        (KeyAlgorithm.SM2, "SM4-CBC"),
        (KeyAlgorithm.RSA_2048, "AES-256-CBC"),
        (KeyAlgorithm.EC_P256, "AES-256-CBC"),
    ],
)
def test_openssl_opens_a_file(algorithm: KeyAlgorithm, cipher: str, authority: Authority) -> None:
    key = HolderKey(shared_key(algorithm))
    certificate, chain = certified(authority, key)
    opened = openssl.open_pkcs12(key.pkcs12(certificate, chain, PASSWORD), PASSWORD)
    assert opened.public_key == key.spki
    assert opened.certificates == [certificate, *chain]
    for line in (
        "MAC: sha256, Iteration 100000",
        f"Shrouded Keybag: PBES2, PBKDF2, {cipher}, Iteration 100000, PRF hmacWithSHA256",
    ):
        assert line in opened.described


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256])
def test_bouncy_castle_opens_a_file(algorithm: KeyAlgorithm, authority: Authority) -> None:
    key = HolderKey(shared_key(algorithm))
    octets = key.pkcs12(*certified(authority, key), PASSWORD)
    # It signs with the key, verifies under the certificate, and counts the chain. Its key store
    # knows no length of SM4 keys, so that files with SM2 keys are OpenSSL's to judge.
    assert bouncycastle.open_pkcs12(octets, PASSWORD) == "3"


def test_both_say_no_to_a_wrong_password_and_a_changed_file(authority: Authority) -> None:
    key = HolderKey(shared_key(KeyAlgorithm.EC_P256))
    octets = key.pkcs12(*certified(authority, key), PASSWORD)
    changed = octets[:200] + flipped(octets[200:201]) + octets[201:]
    for judge in (openssl, bouncycastle):
        for bad, password in ((octets, PASSWORD + "!"), (changed, PASSWORD)):
            with pytest.raises(JudgeSaysNo):
                judge.open_pkcs12(bad, password)
