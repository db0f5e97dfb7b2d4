"""PKCS#12: what the file says of itself, passwords, and that only the file carries the key."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12 as readable

from ca.altnames import parse_alternative_name
from core.db import Database
from core.errors import Malformed, Refused
from keystore import holderkeys, pkcs12
from keystore.algorithms import KeyAlgorithm
from keystore.holderkeys import HolderKey
from keystore.softkey import SoftKey
from keystore.verify import verify_signature
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority, request

PASSWORD = "a Password of 25 letters!"


@pytest.fixture
def authority(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> Authority:
    return Authority(sqlite_database, clock, audit)


def certified(authority: Authority, key: HolderKey) -> tuple[bytes, list[bytes]]:
    """A certificate for the key, and its chain."""
    family = "sm2" if key.algorithm is KeyAlgorithm.SM2 else "rsa"
    issued = authority.issue(
        request(
            spki=key.spki,
            alternative_names=(parse_alternative_name("dns:gateway.example.test"),),
        ),
        issuer=f"{family}-issuing",
    )
    chain = [authority.issuers[f"{family}-{level}"].certificate for level in ("issuing", "root")]
    return issued.der, chain


def shared_key(algorithm: KeyAlgorithm) -> SoftKey:
    """A key that is made once in this process."""
    return memory_key(algorithm).private


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256])
def test_cryptography_opens_the_file_with_its_password_only(
    algorithm: KeyAlgorithm, authority: Authority
) -> None:
    key = HolderKey(shared_key(algorithm))
    certificate, chain = certified(authority, key)
    octets = key.pkcs12(certificate, chain, PASSWORD)
    opened = readable.load_pkcs12(octets, PASSWORD.encode())
    assert opened.key.public_key() == shared_key(algorithm).private.public_key()
    assert opened.cert.certificate.public_key() == opened.key.public_key()
    assert len(opened.additional_certs) == 2
    with pytest.raises(ValueError, match="password"):
        readable.load_pkcs12(octets, PASSWORD.encode() + b"!")


def test_the_same_key_twice_gives_files_that_share_no_ciphertext(authority: Authority) -> None:
    key = HolderKey(shared_key(KeyAlgorithm.SM2))
    certificate, chain = certified(authority, key)
    first, second = (key.pkcs12(certificate, chain, PASSWORD) for _ in range(2))
    blocks = {first[at : at + 16] for at in range(100, len(first) - 16)}
    assert not any(second[at : at + 16] in blocks for at in range(600, 900))
    assert certificate[-32:] not in first, "certificates are encrypted, too: they name people"


@pytest.mark.parametrize(
    "password",
    [
        "",
        "eleven char",
        "aaaaaaaaaaaaaaaa",
        "abcdabcdabcdabcd",
        "密码密码密码密码密码密码",
        "tab\tinside-12345",
        "x1y2z3" * 30,
    ],
)
def test_a_weak_or_unportable_password_is_refused_and_not_quoted(
    password: str, authority: Authority
) -> None:
    key = HolderKey(shared_key(KeyAlgorithm.SM2))
    with pytest.raises(Malformed, match="12 to 128 printable ASCII") as refusal:
        key.pkcs12(*certified(authority, key), password)
    assert not password or password not in str(refusal.value)


def test_another_keys_certificate_is_refused(authority: Authority) -> None:
    key = HolderKey(shared_key(KeyAlgorithm.SM2))
    with pytest.raises(Refused, match="another key's"):
        key.pkcs12(authority.issuers["sm2-issuing"].certificate, [], PASSWORD)
    certificate, chain = certified(authority, key)
    with pytest.raises(Malformed, match="1 to 10"):
        key.pkcs12(certificate, chain * 5, PASSWORD)
    with pytest.raises(Malformed):
        key.pkcs12(b"no certificate", [], PASSWORD)


def test_a_holder_key_signs_and_shows_nothing(authority: Authority) -> None:
    key = holderkeys.generate(KeyAlgorithm.SM2)
    assert key.spki != holderkeys.generate(KeyAlgorithm.SM2).spki
    verify_signature(key.spki, key.signature_algorithm, b"message", key.sign(b"message"))
    assert repr(key) == "<HolderKey sm2>"
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(key)


def test_a_guess_at_the_password_costs_what_was_decided() -> None:
    assert pkcs12.ITERATIONS >= 100_000
