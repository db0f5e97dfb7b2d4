"""What outside CAs contribute is remembered the same on both databases."""

from __future__ import annotations

import pytest

from ca.sqlstore import SQLCertificateStore
from ca.store import IssuerRecord, Outside
from core.db import Database
from core.errors import Conflict
from keystore.algorithms import SignatureAlgorithm
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()


def test_certificates_above_and_beside_an_issuer(database: Database) -> None:
    store = SQLCertificateStore(database)
    store.add_above("a", [b"parent", b"root"], now=NOW)
    assert store.add_cross_certificate("a", b"cross", now=NOW)
    assert not store.add_cross_certificate("a", b"cross", now=NOW)
    assert store.list_outside() == {"a": Outside((b"parent", b"root"), (b"cross",))}
    with pytest.raises(Conflict):
        store.add_above("a", [b"parent"], now=NOW)


def test_of_two_renewals_of_one_certificate_one_wins(database: Database) -> None:
    store = SQLCertificateStore(database)
    record = IssuerRecord(
        name="a",
        parent="root",
        key_ref="software:object=a",
        signature_algorithm=SignatureAlgorithm.SM2_SM3,
        certificate=b"old",
        created_at=NOW,
        succeeds="first",
        takes_over_at=NOW,
    )
    store.add_issuer(record)
    assert store.find_issuer("a") == record
    assert store.renew_issuer(record, b"new")
    assert not store.renew_issuer(record, b"other")
    assert store.find_issuer("a").certificate == b"new"
