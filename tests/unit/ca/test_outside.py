"""Outside CAs: cross-certificates both ways, and an issuing CA of ours under an outside root."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.altnames import parse_alternative_name
from ca.bootstrap import NewIssuer, create_root
from ca.ceremony_plan import read_other_ca
from ca.ceremony_run import Made
from ca.issuers import Issuers
from ca.outside import OutsideCAs
from ca.profiles import IssuerKind
from ca.sqlstore import SQLCertificateStore
from core.errors import Conflict, NotFound, Refused
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from tests import databases
from tests.fakes.audit import MemoryAuditLog
from tests.judges import JudgeSaysNo, openssl
from tests.unit.ca.conftest import URL, Authority, request
from tests.unit.ca.test_ceremony import Desk, file

CROSS = """
act = "cross-certificate"
name = "ours"
issuer = "rsa-root"
other_ca = "other.pem"
"""
REQUEST = """
act = "request"
name = "under-theirs"
key = "memory:object=under-theirs"
key_algorithm = "rsa-3072"
subject = { C = "CN", O = "测试机构", CN = "Ours under theirs" }
"""


def outside_of(authority: Authority) -> OutsideCAs:
    return OutsideCAs(
        store=authority.store,
        keystore=authority.keystore,
        transactions=authority.database,
        audit=authority.audit,
        clock=authority.clock,
    )


def certificate(octets: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(octets)


class Neighbours:
    """Two authorities that know nothing of one another."""

    def __init__(self, ours: Authority, theirs: Authority) -> None:
        self.ours, self.theirs = ours, theirs

    def cross(self, text: str = CROSS, **changes: str) -> Made:
        """Theirs certifies our root."""
        other = read_other_ca(self.ours.issuers["rsa-root"].certificate)
        return Desk(self.theirs).run(file(text, **changes), other)


@pytest.fixture
def neighbours(authority: Authority, tmp_path: Path) -> Neighbours:
    database = databases.sqlite(tmp_path, "theirs.sqlite3")
    return Neighbours(authority, _Other(database, authority.clock, MemoryAuditLog()))


class _Other(Authority):
    def __post_init__(self) -> None:
        self.store = SQLCertificateStore(self.database)
        # The same process makes the same keys again, in the same order: theirs must be others.
        for number in range(6):
            ref = keyref.make("memory", object=f"skip-{number}")
            self.keystore.generate(ref, KeyAlgorithm.RSA_3072)
        root = create_root(
            NewIssuer(
                "rsa-root",
                (("C", "CN"), ("O", "邻居"), ("CN", "Their root")),
                KeyAlgorithm.RSA_3072,
                keyref.make("memory", object="theirs"),
            ),
            profile=self.profiles["root"],
            revocation_url=URL,
            keystore=self.keystore,
            **self.services,
        )
        self.issuers = {"rsa-root": root}


def ours_issued(neighbours: Neighbours, *names: str) -> bytes:
    wanted = request(
        KeyAlgorithm.EC_P256,
        alternative_names=tuple(parse_alternative_name(name) for name in names),
    )
    return neighbours.ours.issue(wanted, issuer="rsa-issuing").der


@pytest.mark.openssl
def test_who_trusts_the_neighbour_reaches_our_certificates_over_the_cross_certificate(
    neighbours: Neighbours,
) -> None:
    cross = neighbours.cross(path_length="1").der
    root = neighbours.theirs.issuers["rsa-root"].certificate
    middle = neighbours.ours.issuers["rsa-issuing"].certificate
    leaf = ours_issued(neighbours)
    openssl.verify_path(root, cross, middle, leaf, sm2=False)
    openssl.verify_whole_path(root, cross, middle, leaf)
    with pytest.raises(JudgeSaysNo):
        openssl.verify_whole_path(root, middle, leaf)


@pytest.mark.openssl
def test_path_length_and_name_constraints_of_a_cross_certificate_bind_the_neighbour(
    neighbours: Neighbours,
) -> None:
    root = neighbours.theirs.issuers["rsa-root"].certificate
    middle, leaf = neighbours.ours.issuers["rsa-issuing"].certificate, ours_issued(neighbours)
    short = neighbours.cross(path_length="0").der
    with pytest.raises(JudgeSaysNo, match="path length"):
        openssl.verify_whole_path(root, short, middle, leaf)
    narrow = neighbours.cross(
        name='"narrow"', path_length="1", name_constraints='{ permitted = ["directory:C=CN,O=X"] }'
    ).der
    with pytest.raises(JudgeSaysNo, match="permitted subtree"):
        openssl.verify_whole_path(root, narrow, middle, leaf)


def test_a_cross_certificate_of_our_key_is_served_for_the_root_and_below(
    neighbours: Neighbours,
) -> None:
    ours, cross = neighbours.ours, neighbours.cross().der
    by = certificate(neighbours.theirs.issuers["rsa-root"].certificate)
    issuers = Issuers(ours.store, ours.keystore, revocation_url=URL)
    outside = outside_of(ours)
    for _ in range(2):
        outside.add_cross_certificate("rsa-root", certificate(cross), by, actor="alice")
    issuers.refresh()
    assert issuers["rsa-root"].crosses == issuers["rsa-issuing"].crosses == (cross,)
    assert issuers["sm2-root"].crosses == ()
    assert ours.audit.actions.count("crosscertificate.added") == 1


def test_a_cross_certificate_that_is_not_ours_or_not_theirs_is_refused(
    neighbours: Neighbours,
) -> None:
    outside, cross = outside_of(neighbours.ours), certificate(neighbours.cross().der)
    root = certificate(neighbours.theirs.issuers["rsa-root"].certificate)
    ours = certificate(neighbours.ours.issuers["rsa-root"].certificate)
    for issuer, what, by, says in (
        ("sm2-root", cross, root, "not for the name and the key"),
        ("rsa-root", cross, ours, "was not issued by|not by the CA"),
        ("rsa-root", ours, ours, "signed this itself"),
    ):
        with pytest.raises(Refused, match=says):
            outside.add_cross_certificate(issuer, what, by, actor="alice")
    with pytest.raises(NotFound):
        outside.add_cross_certificate("nobody", cross, root, actor="alice")
    neighbours.ours.clock.advance(days=4000)
    with pytest.raises(Refused, match="not valid now"):
        outside.add_cross_certificate("rsa-root", cross, root, actor="alice")
    assert neighbours.ours.store.list_outside() == {}


@pytest.mark.openssl
def test_an_issuing_ca_under_an_outside_root_is_requested_taken_up_and_issues(
    neighbours: Neighbours,
) -> None:
    ours, theirs = neighbours.ours, neighbours.theirs
    asked = Desk(ours).run(file(REQUEST))
    openssl.verify_request(asked.der, sm2=False)
    pem = x509.load_der_x509_csr(asked.der).public_bytes(Encoding.PEM)
    given = Desk(theirs).run(file(CROSS), read_other_ca(pem)).der
    root = theirs.issuers["rsa-root"].certificate
    outside_of(ours).take_up(file(REQUEST), certificate(given), [certificate(root)], actor="alice")
    ours.issuers = Issuers(ours.store, ours.keystore, revocation_url=URL)
    made = ours.issuers["under-theirs"]
    assert (made.kind, made.chain) == (IssuerKind.ISSUING, (root,))
    leaf = ours.issue(request(), issuer="under-theirs").der
    openssl.verify_whole_path(root, made.certificate, leaf)
    with pytest.raises(Conflict):
        outside_of(ours).take_up(
            file(REQUEST), certificate(given), [certificate(root)], actor="alice"
        )


def test_an_answer_for_another_key_name_or_chain_is_refused(neighbours: Neighbours) -> None:
    ours, theirs = neighbours.ours, neighbours.theirs
    Desk(ours).run(file(REQUEST))
    root = certificate(theirs.issuers["rsa-root"].certificate)
    other = certificate(neighbours.cross().der)
    with pytest.raises(Refused, match="another key"):
        outside_of(ours).take_up(file(REQUEST), other, [root], actor="alice")
    with pytest.raises(Refused, match="no request"):
        outside_of(ours).take_up(file(CROSS), other, [root], actor="alice")
    assert ours.store.find_issuer("under-theirs") is None
