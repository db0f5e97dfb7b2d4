"""Following certificates into a directory, on both databases; the directory remembers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ca.issuer import Issued
from ca.serials import SerialNumber
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateState
from core.db import Database
from core.errors import Refused, Unavailable
from crl.directory_names import entry_name
from crl.publication import Publication
from crl.publication_config import PublicationConfig
from crl.sqlpublication import SQLPublicationStore
from crl.sqlstore import SQLCRLStore
from crl.store import CRLRecord
from tests.contract.test_certificate_store import HELD, ISSUED, NOW, prepared, revoke
from tests.fakes.clock import FakeClock

KEY = ec.generate_private_key(ec.SECP256R1())


def der(name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9))
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


class Directory:
    """Remembers entries as a directory does, and fails as it is told to."""

    def __init__(self) -> None:
        self.entries: dict[str, list[bytes]] = {}
        self.authorities: dict[str, tuple[bytes, bytes]] = {}
        self.points: dict[str, bytes] = {}
        self.published: dict[str, bytes] = {}
        self.absent = False
        self.refused: set[str] = set()

    def _ask(self, name) -> None:
        if self.absent:
            raise Unavailable("away")
        if name.value in self.refused:
            raise Refused("schema")

    def put_certificate(self, name, certificate) -> None:
        self._ask(name)
        values = self.entries.setdefault(name.dn, [])
        if certificate not in values:
            values.append(certificate)

    def remove_certificate(self, name, certificate) -> None:
        self._ask(name)
        if certificate in self.entries.get(name.dn, []):
            self.entries[name.dn].remove(certificate)

    def put_authority(self, name, certificate, crl) -> None:
        self._ask(name)
        self.authorities[name.dn] = (certificate, crl)

    def put_distribution_point(self, name, crl) -> None:
        self._ask(name)
        self.points[name.dn] = crl

    def find_crl(self, name) -> bytes | None:
        return self.published.get(name.dn)

    def close(self) -> None:
        pass

    def names(self) -> set[str]:
        return {dn.split(",")[0] for dn, values in self.entries.items() if values}


@dataclass
class FakeIssuer:
    name: str
    certificate: bytes = b"ca"


class Desk:
    def __init__(self, database: Database, **settings) -> None:
        self.certificates = SQLCertificateStore(database)
        self.crls = SQLCRLStore(database)
        self.store = SQLPublicationStore(database)
        self.directory = Directory()
        self.clock = FakeClock(NOW)
        self.config = PublicationConfig(certificate_dn="cn={CN},dc=x", issuer_dn="cn={issuer},dc=x")
        self.config = self.config.model_copy(update=settings)
        self.publication = self.open()

    def open(self) -> Publication:
        return Publication(
            self.directory,
            self.store,
            self.crls,
            {"a": FakeIssuer("a")},
            profiles=["device"],
            config=self.config,
            clock=self.clock,
        )

    def reserve(self, number: int, **changes) -> SerialNumber:
        wanted = prepared(number, **changes)
        self.certificates.reserve_all([wanted], now=self.clock.now())
        return wanted.serial

    def complete(self, serial: SerialNumber, name: str) -> None:
        issued = Issued("a", serial, der(name))
        assert self.certificates.complete_all([issued], now=self.clock.now())

    def issue(self, number: int, **changes) -> SerialNumber:
        serial = self.reserve(number, **changes)
        self.complete(serial, f"d{number}")
        return serial

    def run(self, **later: float) -> set[str]:
        self.clock.advance(**later)
        self.publication.run()
        return self.directory.names()


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_what_is_issued_appears_and_what_is_revoked_goes(desk: Desk) -> None:
    first, _ = desk.issue(1), desk.issue(2)
    desk.issue(3, profile="ocsp-signer")
    assert desk.run() == {"cn=d1", "cn=d2"}
    desk.certificates.change_status(revoke(first))
    assert desk.run() == {"cn=d2"}
    assert desk.run(minutes=2) == {"cn=d2"}
    assert desk.publication.state().waiting == 0


def test_what_is_held_comes_back_when_it_is_released(desk: Desk) -> None:
    serial = desk.issue(1)
    hold = revoke(serial)
    desk.certificates.change_status(
        type(hold)("a", serial, (ISSUED,), HELD, NOW, hold.reason, NOW, "bob")
    )
    assert desk.run() == set()
    desk.certificates.change_status(
        type(hold)("a", serial, (HELD,), CertificateState.ISSUED, None, None, NOW, "bob")
    )
    assert desk.run() == {"cn=d1"}


def test_what_was_being_issued_is_not_overlooked(desk: Desk) -> None:
    slow = desk.reserve(1)
    desk.issue(2)
    assert desk.run() == {"cn=d2"}
    assert desk.run(minutes=2) == {"cn=d2"}
    desk.complete(slow, "d1")
    assert desk.run() == {"cn=d1", "cn=d2"}


def test_an_absent_directory_is_asked_less_often_and_misses_nothing(desk: Desk) -> None:
    desk.issue(1)
    desk.directory.absent = True
    assert desk.run() == set()
    assert desk.publication.state().error == "away"
    desk.directory.absent = False
    assert desk.run() == set(), "it rests"
    assert desk.run(minutes=6) == {"cn=d1"}
    assert desk.publication.state().error is None


def test_another_process_goes_on_where_one_was_killed(desk: Desk) -> None:
    for number in range(5):
        desk.issue(number)
    desk.run(minutes=2)
    desk.issue(9)
    desk.directory.entries.clear()
    desk.publication = desk.open()
    assert desk.run() == {"cn=d9"}


def test_one_that_is_not_taken_waits_and_the_others_do_not(desk: Desk) -> None:
    desk.issue(1)
    desk.issue(2)
    desk.directory.refused = {"d1"}
    assert desk.run(minutes=2) == {"cn=d2"}
    (fault,) = desk.publication.state().faults
    assert (fault.error, fault.attempts) == ("schema", 1)
    assert desk.run(minutes=1) == {"cn=d2"}
    assert desk.publication.state().faults[0].attempts == 2
    desk.directory.refused = set()
    assert desk.run() == {"cn=d2"}
    assert desk.publication.retry() == 1
    assert desk.run() == {"cn=d1", "cn=d2"}
    assert desk.publication.state().faults == ()


@pytest.mark.parametrize("policy", [True, False])
def test_what_expires_goes_if_the_policy_says_so(database: Database, policy: bool) -> None:
    desk = Desk(database, remove_expired=policy)
    desk.issue(1, not_after=NOW + timedelta(days=1))
    desk.issue(2, not_after=NOW + timedelta(days=3))
    assert desk.run() == {"cn=d1", "cn=d2"}
    assert desk.run(days=2) == ({"cn=d2"} if policy else {"cn=d1", "cn=d2"})


def test_each_new_crl_is_published_once(desk: Desk) -> None:
    for number in (1, 2):
        assert desk.crls.reserve_number("a", at_least=0) == number
        desk.crls.publish(
            CRLRecord("a", number, NOW, NOW + timedelta(days=1), 0, 0, b"crl%d" % number)
        )
        desk.run()
        assert desk.directory.authorities == {"cn=a,dc=x": (b"ca", b"crl%d" % number)}
        desk.directory.authorities.clear()
        desk.run()
        assert desk.directory.authorities == {}
        desk.directory.authorities.clear()


def test_the_crl_of_a_partition_has_an_entry_below_its_issuer(desk: Desk) -> None:
    for scope, number in (("a", 1), ("a/16/5", 2)):
        desk.crls.publish(
            CRLRecord(scope, number, NOW, NOW + timedelta(days=1), 0, 0, b"crl%d" % number)
        )
    desk.run()
    assert desk.directory.points == {"cn=16-5,cn=a,dc=x": b"crl2"}
    assert desk.directory.authorities == {"cn=a,dc=x": (b"ca", b"crl1")}


def test_what_is_not_the_crl_before_is_not_overwritten(desk: Desk) -> None:
    desk.directory.published["cn=a,dc=x"] = b"somebody else's"
    desk.crls.publish(CRLRecord("a", 1, NOW, NOW + timedelta(days=1), 0, 0, b"crl1"))
    desk.run()
    assert desk.directory.authorities == {}
    del desk.directory.published["cn=a,dc=x"]
    desk.run()
    assert desk.directory.authorities == {"cn=a,dc=x": (b"ca", b"crl1")}


def test_names_of_entries_are_escaped() -> None:
    name = entry_name("cn={CN},ou={O},dc=x", {"CN": "a, b=c+d", "O": "中文\n"})
    assert name.dn == r"cn=a\2c b\3dc\2bd,ou=中文,dc=x"
    assert name.value == "a, b=c+d"
    with pytest.raises(Refused, match="has no OU"):
        entry_name("cn={OU},dc=x", {"CN": "a"})


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://x"},
        {"url": "ldap://x", "start_tls": False},
        {"url": "ldaps://x", "bind_dn": "cn=a"},
        {"certificate_dn": "dc=x"},
        {"certificate_dn": "cn={nothing},dc=x"},
    ],
)
def test_settings_that_would_not_work_are_refused(settings) -> None:
    with pytest.raises(ValueError, match=r"url|ldap|bind_dn|begin|unknown"):
        PublicationConfig(**settings)
