"""Health checks of a key management centre and of a registration authority."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import insert

from ca.desk_store import DeskRecord, DeskState
from ca.operations import Operation
from ca.sqldesk import SQLDeskStore
from core.errors import Misconfigured
from core.jobs import job_leases
from keystore import keyref
from keystore.storagekey import StorageKey
from tests import databases
from tests.fakes.clock import FakeClock
from yinxin.cli import main
from yinxin.health import run
from yinxin.health.beside import CENTRE_CHECKS, DESK_CHECKS, Beside
from yinxin.health.findings import Finding, Level
from yinxin.health.run import CHECKS, check_beside, check_installation
from yinxin.host_identity import ensure_host_key, install_identity
from yinxin.jobs import COMMON
from yinxin.keys import open_keys
from yinxin.settings import load_settings
from yinxin.state import HostRole, claim_role, prepare_state
from yinxin.wiring import open_ground


def certify(host: Beside, *, days: int) -> None:
    """Give a host a certificate of an authority that is made for it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), host.ground.clock.now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])

    def certificate(subject: str, public) -> str:
        builder = x509.CertificateBuilder(
            issuer_name=name,
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
            public_key=public,
            serial_number=x509.random_serial_number(),
            not_valid_before=now,
            not_valid_after=now + timedelta(days=days),
        ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        made = builder.sign(key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()

    own = serialization.load_der_public_key(ensure_host_key(host.keystore).public_key)
    install_identity(
        host.ground.state,
        host.keystore,
        chain=certificate("host", own),
        root=certificate("root", key.public_key()),
    )


def ran(host: Beside, names: list[str]) -> None:
    until = host.ground.clock.now() + timedelta(minutes=5)
    with host.ground.database.transaction() as connection:
        for name in names:
            connection.execute(insert(job_leases).values(name=name, holder="x", until=until))


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Beside]:
    state = prepare_state(tmp_path / "var")
    databases.lay_tables(state.directory)
    claim_role(state, request.param)
    ground = open_ground(load_settings(None), state, clock=FakeClock())
    made = Beside(ground, open_keys(ground.settings, state))
    yield made
    made.keystore.close()
    ground.close()


def found(host: Beside, checks) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_beside(host, checks)}


CENTRE = pytest.mark.parametrize("host", [HostRole.KM], indirect=True)
DESK = pytest.mark.parametrize("host", [HostRole.RA], indirect=True)


@CENTRE
def test_a_centre_in_good_order_and_what_is_found_of_it_otherwise(host: Beside) -> None:
    before = found(host, CENTRE_CHECKS)
    for name, words in (
        ("host-certificate", "this host has no certificate yet"),
        ("storage-key", "the storage key software:object=km-storage-1 is not there"),
        ("key-pool", "0 keys wait, and 10 should"),
    ):
        assert (before[name].level, words in before[name].says) == (Level.CRITICAL, True)
    assert "km-refill" in before["jobs"].says
    assert "approve a recovery it needs 2" in before["administrators"].says or (
        "no key administrator" in before["administrators"].says
    )
    assert "business" not in before["administrators"].says
    assert before["control"].says == "one person alone can do: role-change, credential"
    assert all(one.remedy for one in before.values() if one.level is not Level.OK)
    certify(host, days=365)
    StorageKey(host.keystore, keyref.parse("software:object=km-storage-1")).make()
    ran(host, ["km-refill", *COMMON])
    after = found(host, CENTRE_CHECKS)
    for name in ("host-certificate", "storage-key", "jobs", "database", "disk-space", "clock"):
        assert after[name].level is Level.OK, after[name]


@CENTRE
def test_the_end_of_the_hosts_certificate_is_seen_in_time(host: Beside) -> None:
    certify(host, days=365)
    for days, level in ((330, Level.OK), (10, Level.WARNING), (20, Level.CRITICAL)):
        host.ground.clock.advance(days=days)  # type: ignore[attr-defined]
        assert found(host, CENTRE_CHECKS)["host-certificate"].level is level


@CENTRE
def test_a_centres_keystore_that_does_not_open_is_the_finding(
    host: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise Misconfigured("the passphrase does not open it")

    monkeypatch.setattr(run, "open_keys", locked)
    findings = check_installation(host.ground.settings, host.ground.state)
    assert [one.check for one in findings] == [check.name for check in CHECKS[HostRole.KM]]
    said = {one.check: one for one in findings}
    assert said["host-certificate"].says == "the passphrase does not open it"
    assert said["storage-key"].level is Level.UNKNOWN
    assert said["database"].level is Level.OK


@DESK
def test_a_registration_authority_says_what_is_not_carried(host: Beside) -> None:
    before = found(host, DESK_CHECKS)
    assert before["branch"].level is Level.CRITICAL
    assert before["outbox"].level is Level.OK
    assert "right-change" in before["control"].says
    certify(host, days=365)
    host.ground.registration.organisations.ensure_root("杭州市", actor="test")
    ran(host, list(COMMON))
    now = host.ground.clock.now()
    SQLDeskStore(host.ground.database).add(
        DeskRecord("0" * 32, DeskState.SENT, Operation.REVOKE, None, None, "superseded", "wang",
                   now, decided_by="li", decided_at=now, issuer="sm2-issuing", serial="01")
    )  # fmt: skip
    after = found(host, DESK_CHECKS)
    for name in ("host-certificate", "branch", "outbox", "jobs"):
        assert after[name].level is Level.OK, after[name]
    host.ground.clock.advance(minutes=20)  # type: ignore[attr-defined]
    late = found(host, DESK_CHECKS)["outbox"]
    assert (late.level, "1 or more acts" in late.says) == (Level.CRITICAL, True)


@DESK
def test_the_command_gives_names_remedies_and_an_exit_code(host: Beside) -> None:
    words = ["--state", str(host.ground.state.directory), "health-check", "--json"]
    done = CliRunner().invoke(main, words)
    said = json.loads(done.output)
    assert done.exit_code == Level.CRITICAL == 2
    assert [one["check"] for one in said["checks"]] == [one.name for one in CHECKS[HostRole.RA]]
    branch = next(one for one in said["checks"] if one["check"] == "branch")
    assert "yinxin ra add" in branch["remedy"]
