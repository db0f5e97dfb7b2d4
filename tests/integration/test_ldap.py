"""Publishing SM2 certificates and CRLs to a real slapd, over TLS."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bonsai
import pytest

from core.db import Database
from core.errors import Refused, Unavailable
from crl.directory_names import EntryName, entry_name
from crl.ldap import LDAPDirectory
from crl.publication_config import PublicationConfig
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.ports import free_ports
from tests.servers import localhost_certificate
from tests.unit.crl.world import World

USER = "userCertificate;binary"
AUTHORITY = "cACertificate;binary"
CRL = "certificateRevocationList;binary"
CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {directory}/localhost.pem
TLSCertificateKeyFile {directory}/localhost.pem
database mdb
suffix "dc=example"
rootdn "cn=admin,dc=example"
rootpw secret
directory {directory}/rows
"""


class Slapd:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.trust = localhost_certificate(directory)
        (directory / "rows").mkdir()
        (directory / "slapd.conf").write_text(CONFIGURATION.format(directory=directory))
        (directory / "password").write_text("secret")
        (directory / "password").chmod(0o600)
        self.ports = free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        clear, tls = self.ports
        self.process = subprocess.Popen(
            ["/usr/sbin/slapd", "-d", "0", "-f", self.directory / "slapd.conf",
             "-h", f"ldap://127.0.0.1:{clear} ldaps://127.0.0.1:{tls}"],
        )  # fmt: skip
        for _ in range(600):
            try:
                self.connect().close()
            except bonsai.LDAPError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("slapd did not start")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(timeout=60)

    def connect(self) -> Any:
        client = bonsai.LDAPClient(f"ldap://127.0.0.1:{self.ports[0]}")
        client.set_credentials("SIMPLE", user="cn=admin,dc=example", password="secret")
        client.set_raw_attributes(
            [USER, "cACertificate;binary", "certificateRevocationList;binary"]
        )
        return client.connect(timeout=30)

    def read(self, dn: str) -> Any:
        with self.connect() as connection:
            found = connection.search(dn, bonsai.LDAPSearchScope.BASE)
            return found[0] if found else None

    def config(self, **changes) -> PublicationConfig:
        return PublicationConfig(
            **{
                "url": f"ldaps://127.0.0.1:{self.ports[1]}",
                "trust_file": self.trust,
                "bind_dn": "cn=admin,dc=example",
                "password_file": self.directory / "password",
            }
            | changes
        )


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    running = Slapd(tmp_path_factory.mktemp("slapd"))
    running.start()
    base = bonsai.LDAPEntry("dc=example")
    base["objectClass"] = ["dcObject", "organization"]
    base["o"] = "example"
    with running.connect() as connection:
        connection.add(base)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    made = tmp_path_factory.mktemp("certificates")
    for name in ("0", "1"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "sm2", "-nodes", "-sm3", "-subj", "/CN=x",
             "-keyout", f"{name}.key", "-outform", "DER", "-out", name, "-days", "9"],
            check=True, capture_output=True, cwd=made,
        )  # fmt: skip
    return [(made / name).read_bytes() for name in ("0", "1")]


@pytest.fixture
def directory(slapd: Slapd) -> Iterator[LDAPDirectory]:
    opened = LDAPDirectory(slapd.config())
    yield opened
    opened.close()


def test_the_crl_of_a_partition_is_a_distribution_point_below_its_issuer(
    slapd: Slapd, directory: LDAPDirectory, certificates: list[bytes], sqlite_database: Database
) -> None:
    world = World(sqlite_database, "ec", clock=FakeClock(), audit=MemoryAuditLog())
    world.partition("ec-issuing", 16)
    crls = [world.generate("ec-issuing/16/5").der for _ in range(2)]
    issuer = entry_name("cn={CN},dc=example", {"CN": "divided"})
    point = EntryName(f"cn=16-5,{issuer.dn}", "cn", "16-5")
    assert directory.find_crl(point) is None
    with pytest.raises(Refused, match="above"):
        directory.put_distribution_point(point, crls[0])
    directory.put_authority(issuer, certificates[0], world.generate("ec-issuing").der)
    for crl in crls:
        directory.put_distribution_point(point, crl)
        assert directory.find_crl(point) == crl
    entry = slapd.read(point.dn)
    assert entry["objectClass"] == ["cRLDistributionPoint"]
    assert entry[CRL] == [crls[1]]


def test_certificates_come_and_go_in_one_entry(
    slapd: Slapd, directory: LDAPDirectory, certificates: list[bytes]
) -> None:
    name = entry_name("cn={CN},dc=example", {"CN": "网关, 一号"})
    for certificate in (*certificates, certificates[0]):
        directory.put_certificate(name, certificate)
    entry = slapd.read(name.dn)
    assert entry["cn"] == ["网关, 一号"]
    assert set(entry["objectClass"]) == {"device", "pkiUser"}
    assert set(entry[USER]) == set(certificates)
    for _ in range(2):
        directory.remove_certificate(name, certificates[0])
    assert slapd.read(name.dn)[USER] == [certificates[1]]
    directory.remove_certificate(
        entry_name("cn={CN},dc=example", {"CN": "nobody"}), certificates[0]
    )


def test_people_get_an_entry_of_people(slapd: Slapd, certificates: list[bytes]) -> None:
    directory = LDAPDirectory(slapd.config(entry_classes=("inetOrgPerson",)))
    name = entry_name("uid={UID},dc=example", {"UID": "e17"})
    directory.put_certificate(name, certificates[0])
    directory.close()
    entry = slapd.read(name.dn)
    assert (entry["uid"], entry[USER]) == (["e17"], [certificates[0]])


def test_a_ca_has_its_certificate_and_its_newest_crl(
    slapd: Slapd, directory: LDAPDirectory, certificates: list[bytes], tmp_path: Path
) -> None:
    crls = []
    key, certificate = tmp_path / "key", tmp_path / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "index").write_text("")
    (tmp_path / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=a\n[a]\ndatabase={tmp_path}/index\ndefault_md=sha256\n"
        f"crlnumber={tmp_path}/number\ndefault_crl_days=9\n"
    )
    (tmp_path / "number").write_text("01\n")
    for _ in range(2):
        made = subprocess.run(
            ["openssl", "ca", "-gencrl", "-config", tmp_path / "ca.cnf", "-keyfile", key,
             "-cert", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        crls.append(
            subprocess.run(
                ["openssl", "crl", "-outform", "DER"],
                input=made.stdout,
                check=True,
                capture_output=True,
            ).stdout
        )
    name = entry_name("cn={issuer},dc=example", {"issuer": "sm2-issuing"})
    for crl in crls:
        directory.put_authority(name, certificates[0], crl)
    entry = slapd.read(name.dn)
    assert entry[AUTHORITY] == [certificates[0]]
    assert entry[CRL] == [crls[1]]


def test_start_tls_is_the_same(slapd: Slapd, certificates: list[bytes]) -> None:
    directory = LDAPDirectory(slapd.config(url=f"ldap://127.0.0.1:{slapd.ports[0]}"))
    name = entry_name("cn={CN},dc=example", {"CN": "by start_tls"})
    directory.put_certificate(name, certificates[0])
    directory.close()
    assert slapd.read(name.dn) is not None


def test_what_the_directory_does_not_take_is_refused(
    directory: LDAPDirectory, certificates: list[bytes]
) -> None:
    with pytest.raises(Refused, match="syntax"):
        directory.put_certificate(entry_name("cn={CN},dc=example", {"CN": "bad"}), b"no DER")
    with pytest.raises(Refused, match="above"):
        directory.put_certificate(
            entry_name("cn={CN},ou=none,dc=example", {"CN": "x"}), certificates[0]
        )


def test_an_absent_a_foreign_and_an_unwilling_directory_are_unavailable(
    slapd: Slapd, certificates: list[bytes], tmp_path: Path
) -> None:
    name = entry_name("cn={CN},dc=example", {"CN": "x"})
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    (tmp_path / "other").mkdir()
    for changes in (
        {"url": "ldaps://127.0.0.1:1"},
        {"trust_file": localhost_certificate(tmp_path / "other")},
        {"password_file": wrong},
        {"password_file": tmp_path / "absent"},
    ):
        with pytest.raises(Unavailable):
            LDAPDirectory(slapd.config(**changes)).put_certificate(name, certificates[0])


def test_it_goes_on_after_the_directory_was_restarted(
    slapd: Slapd, directory: LDAPDirectory, certificates: list[bytes]
) -> None:
    name = entry_name("cn={CN},dc=example", {"CN": "restarted"})
    directory.put_certificate(name, certificates[0])
    slapd.stop()
    with pytest.raises(Unavailable):
        directory.put_certificate(name, certificates[1])
    slapd.start()
    directory.put_certificate(name, certificates[1])
    assert len(slapd.read(name.dn)[USER]) == 2
