"""OCSP nodes that were certified: listed, and retired for good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update

from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from ca.sqlstatuslog import SQLStatusLog
from ca.store import CertificateState
from ca.tables import certificates
from core.errors import Forbidden
from crl.nodes import REQUESTER, is_retired, to_revoke
from crl.sqlnodes import SQLNodeStore
from tests.unit.crl.world import World
from yinxin import nodes
from yinxin.cli import main
from yinxin.cli.context import Invocation
from yinxin.nodes import OCSPNodes
from yinxin.state import State

CA = "ec-issuing"
Run = Callable[..., Result]


@pytest.fixture
def run(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    @contextmanager
    def ground(_: Invocation) -> Iterator[Any]:
        yield SimpleNamespace(database=world.database, audit=world.audit, clock=world.clock)

    monkeypatch.setattr(Invocation, "ground", ground)

    def command(*words: str) -> Result:
        return CliRunner().invoke(main, ["--state", str(tmp_path), "ocsp", *words])

    return command


def certify(world: World, node: str, days: int = 7) -> int:
    return world.issue(CA, f"{node}.example.cn", days, f"{REQUESTER}{node}").serial


def test_a_node_that_is_retired_loses_its_responders_and_gets_no_more(world: World, run: Run):
    old, new, other = certify(world, "aa", 1), certify(world, "aa"), certify(world, "bb")
    world.issue(CA)
    world.clock.advance(days=2)
    store = SQLNodeStore(world.database)
    assert [(one.node, one.serial) for one in store.list_responders()] == [
        ("aa", old),
        ("aa", new),
        ("bb", other),
    ]
    listed = run("nodes").output
    assert f"{new:040x}" in listed
    assert f"{old:040x}" not in listed
    assert run("retire", "aa").output.startswith("1 responders revoked")
    responders = store.list_responders("aa")
    assert [one.state for one in responders] == [CertificateState.ISSUED, CertificateState.REVOKED]
    assert is_retired(responders)
    assert to_revoke(responders, world.clock.now()) == []
    assert "aa  retired" in run("nodes").output
    assert not is_retired(store.list_responders("bb"))
    assert run("retire", "aa").output.startswith("0 responders revoked")

    ground = SimpleNamespace(database=world.database, clock=world.clock)
    desk = OCSPNodes(SimpleNamespace(ground=ground, authority=None))  # type: ignore[arg-type]
    with pytest.raises(Forbidden, match="was retired"):
        desk.certify("aa", CA, b"")


def test_what_a_node_reports_to_one_process_all_are_told(world: World, tmp_path: Path):
    state = State(tmp_path)
    ground = SimpleNamespace(database=world.database, clock=world.clock, state=state)
    one, other = (OCSPNodes(SimpleNamespace(ground=ground)) for _ in range(2))  # type: ignore[arg-type]
    certify(world, "aa")
    one.begin()
    assert not one.report("aa", 1 << 40, 7)
    assert other.fault() == "OCSP nodes know more than this database (1): yinxin reconcile"
    last = SQLStatusLog(world.database).find_last()
    assert last is not None
    assert other.report("aa", last.position, last.mark)
    assert one.fault() is None
    one.report("aa", 1 << 40, 7)
    one.begin()
    assert other.fault() is None


def test_a_node_that_is_retired_while_it_is_certified_gets_nothing_that_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    old = certify(world, "aa")

    def issue(*_: object, **__: object) -> SimpleNamespace:
        made = world.issue(CA, "late.example.cn", 7, f"{REQUESTER}aa")
        reason = RevocationReason.CESSATION_OF_OPERATION
        world.revocation.revoke(CA, old, reason, actor="li")  # before it is given to the node
        return SimpleNamespace(serial=made.serial, der=made.der)

    monkeypatch.setattr(nodes, "issue_certificate", issue)
    ground = SimpleNamespace(database=world.database, clock=world.clock, audit=world.audit)
    authority = SimpleNamespace(
        profiles={"ocsp-signer": None}, store=None, transactions=None, audit=None
    )
    desk = OCSPNodes(
        SimpleNamespace(  # type: ignore[arg-type]
            ground=ground, authority=authority, issuers=world.issuers, revocation=world.revocation
        )
    )
    with pytest.raises(Forbidden, match="was retired"):
        desk.certify("aa", CA, _csr())
    responders = SQLNodeStore(world.database).list_responders("aa")
    assert [one.state for one in responders] == [CertificateState.REVOKED] * 2


def test_what_is_certified_while_a_node_is_retired_ends_too(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
):
    certify(world, "aa")
    real = RevocationService.revoke

    def revoke(self: RevocationService, *words: Any, **how: Any) -> Any:
        if len(SQLNodeStore(world.database).list_responders("aa")) == 1:
            certify(world, "aa")
        return real(self, *words, **how)

    monkeypatch.setattr(RevocationService, "revoke", revoke)
    assert run("retire", "aa").output.startswith("2 responders revoked")


def test_a_node_whose_certificate_failed_is_listed(world: World, run: Run):
    certify(world, "aa")
    with world.database.transaction() as connection:
        connection.execute(update(certificates).values(issued_at=None))
    assert "aa  gone  never certified" in run("nodes").output


def _csr() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return built.public_bytes(Encoding.DER)


def test_a_node_without_a_responder_that_holds_can_be_retired_too(world: World, run: Run):
    certify(world, "aa", 1)
    world.clock.advance(days=2)
    assert run("retire", "aa").output.startswith("1 responders revoked")
    assert is_retired(SQLNodeStore(world.database).list_responders("aa"))


def test_who_was_never_certified_is_not_found(run: Run):
    done = run("retire", "cc")
    assert done.exit_code == 1
    assert "yinxin ocsp nodes" in done.output
