"""An OCSP node with a worker, beside an authority on PostgreSQL: freshness, kills, no database.

And a second node of the authority itself.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from tests import postgres
from tests.hosts import Caller, issue
from tests.service import Service

pytestmark = pytest.mark.postgres
GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED


@dataclass
class Hosts:
    authority: Service
    node: Service
    call: Caller
    database: str


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Hosts]:
    work = tmp_path_factory.mktemp("node")
    name = f"n{secrets.token_hex(8)}"
    database = postgres.fresh_database(postgres_url, name)
    node = Service(work / "node", {"YINXIN_DATABASE__URL": database}, role="ocsp")
    csr, chain = work / "node.csr", work / "node.pem"
    node.yinxin("host", "request", "--role", "ocsp", "--out", csr)
    known = {"YINXIN_OCSP_NODE__NODE_KEYS": json.dumps([node.yinxin("host", "key")])}
    authority = Service(work / "ca", {"YINXIN_DATABASE__URL": database} | known).start()
    call = Caller(authority, "business")
    chain.write_bytes(issue(call, csr.read_text(), "device"))
    node.yinxin("host", "install", chain, "--root", authority.root)
    node.environment |= {
        "YINXIN_OCSP_NODE__AUTHORITY_URL": f"https://localhost:{authority.mutual_tls_port}",
        "YINXIN_OCSP_NODE__AUTHORITY_KEYS": json.dumps([authority.yinxin("host", "key")]),
        "YINXIN_REVOCATION__OCSP__WORKERS": "1",
    }
    node.launch()
    wait(lambda: get(node, "/readyz"))
    yield Hosts(authority, node, call, name)
    for host in (node, authority):
        if host.process is not None:
            host.stop()


def wait(act: Callable[[], object], seconds: float = 60) -> float:
    """Try until `act` returns something true; how long that took."""
    began = time.monotonic()
    while True:
        try:
            if act():
                return time.monotonic() - began
        except HTTPError as not_yet:
            not_yet.close()
        except OSError:
            pass
        assert time.monotonic() - began < seconds
        time.sleep(0.05)


def get(host: Service, path: str) -> bytes:
    with urlopen(host.revocation_url + path, timeout=60) as answer:
        return answer.read()


def is_silent(host: Service) -> bool:
    """Whether nobody listens on its port."""
    try:
        socket.create_connection(("localhost", host.http_port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


@dataclass
class Asked:
    certificate: x509.Certificate
    issuer: x509.Certificate

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:040x}"

    def of(self, host: Service) -> ocsp.OCSPResponse:
        builder = ocsp.OCSPRequestBuilder().add_certificate(
            self.certificate, self.issuer, hashes.SHA1()
        )
        octets = builder.build().public_bytes(serialization.Encoding.DER)
        with urlopen(Request(f"{host.revocation_url}/ocsp", octets), timeout=60) as answer:
            return ocsp.load_der_ocsp_response(answer.read())

    def says(self, host: Service, status: ocsp.OCSPCertStatus) -> bool:
        found = self.of(host)
        successful = found.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        return successful and found.certificate_status is status


def certificate(hosts: Hosts) -> Asked:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway.example.cn")])
    csr = x509.CertificateSigningRequestBuilder(name).sign(key, hashes.SHA256())
    text = csr.public_bytes(serialization.Encoding.PEM).decode()
    chain = x509.load_pem_x509_certificates(issue(hosts.call, text, "device"))
    return Asked(chain[0], chain[1])


def revoke(hosts: Hosts, asked: Asked) -> None:
    path = f"/certificates/rsa-issuing/{asked.serial}/revoke"
    hosts.call("POST", path, {"reason": "keyCompromise"})


def test_a_node_knows_what_is_issued_and_what_is_revoked_within_two_seconds(hosts):
    asked = certificate(hosts)
    assert asked.says(hosts.authority, GOOD)
    assert asked.says(hosts.node, GOOD)
    # Keys of its own.
    ours, theirs = asked.of(hosts.authority), asked.of(hosts.node)
    assert ours.responder_key_hash != theirs.responder_key_hash

    def lag() -> float:
        another = certificate(hosts)
        assert another.says(hosts.node, GOOD)
        revoke(hosts, another)
        assert another.says(hosts.authority, REVOKED)
        return wait(lambda: another.says(hosts.node, REVOKED))

    assert lag() < 2


def test_a_node_serves_crls_certificates_and_its_metrics(hosts):
    assert get(hosts.node, "/ca/rsa-issuing.cer") == get(hosts.authority, "/ca/rsa-issuing.cer")
    crl = get(hosts.authority, "/crl/rsa-issuing.crl")
    wait(lambda: get(hosts.node, "/crl/rsa-issuing.crl") == crl)
    assert b'yinxin_ocsp_answers_total{status="successful"}' in get(hosts.node, "/metrics")


def test_two_nodes_of_the_authority_are_one_and_either_goes_on_alone(hosts, tmp_path):
    first, second = hosts.authority, hosts.authority.beside(tmp_path / "second")
    second.start()
    try:
        call = Caller(second, "business")
        call.token = hosts.call.token
        asked = certificate(hosts)
        assert asked.says(second, GOOD)
        there = Hosts(second, hosts.node, call, hosts.database)
        assert get(second, "/ca/rsa-issuing.cer") == get(first, "/ca/rsa-issuing.cer")
        revoke(there, asked)
        assert asked.says(second, REVOKED)
        assert wait(lambda: asked.says(first, REVOKED)) < 2

        first.kill()
        asked = certificate(there)
        revoke(there, asked)
        assert asked.says(second, REVOKED)
        assert wait(lambda: asked.says(hosts.node, REVOKED)) < 2
        first.start()
        assert asked.says(first, REVOKED)
        assert certificate(hosts).says(second, GOOD)
        second.yinxin("check")  # it would exit 1
    finally:
        second.end()


def children(host: Service) -> list[int]:
    assert host.process is not None
    pid = host.process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_what_is_killed_comes_back_and_says_nothing_wrong_meanwhile(hosts):
    asked = certificate(hosts)
    assert asked.says(hosts.node, GOOD)
    for victim in (0, 1):
        before = children(hosts.node)
        os.kill(before[victim], signal.SIGKILL)
        # The worker's connections wait for the next worker; without the keeper the store answers.
        assert asked.says(hosts.node, GOOD)
        wait(lambda: len(children(hosts.node)) == 2 and before[victim] not in children(hosts.node))  # noqa: B023
    wait(lambda: get(hosts.node, "/readyz"))
    revoke(hosts, asked)
    assert wait(lambda: asked.says(hosts.node, REVOKED)) < 2


@contextmanager
def no_database(hosts: Hosts, url: str) -> Iterator[None]:
    plain = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{hosts.database}" ALLOW_CONNECTIONS false')
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (hosts.database,),
        )
        try:
            yield
        finally:
            admin.execute(f'ALTER DATABASE "{hosts.database}" ALLOW_CONNECTIONS true')


def test_without_the_database_a_node_goes_on_and_starts(hosts, postgres_url):
    good, gone = certificate(hosts), certificate(hosts)
    revoke(hosts, gone)
    wait(lambda: gone.says(hosts.node, REVOKED))
    with no_database(hosts, postgres_url):
        assert good.says(hosts.node, GOOD)
        hosts.node.kill()
        # Its worker ends a moment after it, and must not answer in place of the new one.
        wait(lambda: is_silent(hosts.node))
        hosts.node.launch()
        wait(lambda: good.says(hosts.node, GOOD))
        assert gone.says(hosts.node, REVOKED)
    wait(lambda: get(hosts.node, "/readyz"))
    revoke(hosts, good)
    assert wait(lambda: good.says(hosts.node, REVOKED)) < 2
