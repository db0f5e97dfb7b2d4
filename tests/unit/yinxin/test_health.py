"""Health checks: each finds what it is for, and says what to do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import delete, insert

from core.audit_tables import audit_checkpoints
from core.errors import Misconfigured, Unavailable
from core.identity import Role
from core.jobs import job_leases
from crl.tables import crls
from keystore.escrow.tables import escrow_keys
from keystore.registry import KeyStore
from tests import databases
from tests.fakes.clock import FakeClock
from yinxin.health import run
from yinxin.health.authority import AUTHORITY_CHECKS
from yinxin.health.beside import CENTRE_CHECKS, DESK_CHECKS
from yinxin.health.findings import Check, Fault, Finding, Level, look, worst_of
from yinxin.health.host import HOST_CHECKS
from yinxin.health.run import CHECKS, check_health, check_installation
from yinxin.jobs import COMMON, outward_jobs, periodic_jobs
from yinxin.settings import load_settings
from yinxin.state import HostRole, prepare_state
from yinxin.wiring import Service, open_ground, open_service


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


class _Undo(Exception):
    pass


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One installation in good order for all; each test's changes are rolled back."""
    state = prepare_state(tmp_path_factory.mktemp("health") / "var")
    databases.lay_tables(state.directory)
    service = open_service(open_ground(load_settings(None), state, clock=FakeClock()))
    ground = service.ground
    service.ensure_delegates()
    service.crls.refresh()
    service.key_management.centre.refill()
    ground.audit.checkpoint(service.audit_key)
    with ground.database.transaction() as connection:
        jobs = (*periodic_jobs(service), *outward_jobs(service))
        for name, seconds in {**COMMON, **{job.name: job.every_seconds for job in jobs}}.items():
            until = ground.clock.now() + timedelta(seconds=seconds)
            connection.execute(insert(job_leases).values(name=name, holder="x", until=until))
    yield service
    service.close()


@pytest.fixture
def service(shared: Service) -> Iterator[Service]:
    began = shared.ground.clock.now()
    with suppress(_Undo), shared.ground.database.transaction():
        yield shared
        raise _Undo
    pass_time(shared, seconds=(began - shared.ground.clock.now()).total_seconds())


def found(service: Service) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_health(service)}


def level_of(service: Service, check: str) -> Level:
    return found(service)[check].level


def pass_time(service: Service, **how: float) -> None:
    service.ground.clock.advance(**how)  # type: ignore[attr-defined]


def test_a_young_installation_says_what_people_have_still_to_do(service: Service) -> None:
    warned = {name for name, one in found(service).items() if one.level is not Level.OK}
    assert warned == {"administrators", "control", "backup-age"}
    assert all((one.remedy is None) == (one.level is Level.OK) for one in found(service).values())


def test_a_ca_certificate_near_its_end_is_a_warning_and_then_critical(service: Service) -> None:
    pass_time(service, days=3650 - 100)
    assert "rsa-issuing ends on" in found(service)["ca-expiry"].says
    assert level_of(service, "ca-expiry") is Level.WARNING
    pass_time(service, days=90)
    assert level_of(service, "ca-expiry") is Level.CRITICAL
    pass_time(service, days=20)
    assert "rsa-issuing ended on" in found(service)["ca-expiry"].says


def test_crls_ocsp_signers_and_jobs_that_are_not_renewed_are_found(service: Service) -> None:
    pass_time(service, days=30)
    now = found(service)
    assert now["crl-age"].level is now["ocsp-delegates"].level is Level.CRITICAL
    assert now["jobs"].level is Level.WARNING
    assert "crl-refresh" in now["jobs"].says


def test_an_issuer_without_a_crl_is_critical(service: Service) -> None:
    with service.ground.database.transaction() as connection:
        connection.execute(delete(crls).where(crls.c.scope == "sm2-root"))
    assert found(service)["crl-age"].says == "sm2-root has no CRL"


def test_a_key_that_is_gone_is_critical(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = service.issuers["sm2-issuing"].signer.key.ref
    find = KeyStore.find
    monkeypatch.setattr(KeyStore, "find", lambda s, r: None if r == lost else find(s, r))
    finding = found(service)["ca-keys"]
    assert (finding.level, "sm2-issuing" in finding.says) == (Level.CRITICAL, True)


def test_a_pool_below_its_minimum_is_found(service: Service) -> None:
    with service.ground.database.transaction() as connection:
        connection.execute(delete(escrow_keys))
    assert level_of(service, "key-pool") is Level.CRITICAL


def test_events_without_a_checkpoint_are_found(service: Service) -> None:
    with service.ground.database.transaction() as connection:
        # Whoever holds the database file can do that: the trigger is no lock against them.
        connection.exec_driver_sql("DROP TRIGGER audit_checkpoints_stay")
        connection.execute(delete(audit_checkpoints))
    pass_time(service, hours=1)
    assert "since 2026-11-22" in found(service)["audit-checkpoint"].says


def test_a_clock_behind_the_newest_event_is_critical(service: Service) -> None:
    pass_time(service, days=-1)
    assert level_of(service, "clock") is Level.CRITICAL


@pytest.mark.parametrize(
    ("free", "level"), [(50, Level.OK), (5, Level.WARNING), (1, Level.CRITICAL)]
)
def test_a_disk_that_fills_up_is_found_before_it_is_full(
    service: Service, monkeypatch: pytest.MonkeyPatch, free: int, level: Level
) -> None:
    usage = _Usage(100 << 30, (100 - free) << 30, free << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert level_of(service, "disk-space") is level


def test_a_backup_ends_its_warning_until_it_is_old(service: Service) -> None:
    assert "never backed up" in found(service)["backup-age"].says
    service.ground.audit.record("backup.made", actor="alice", detail={})
    assert level_of(service, "backup-age") is Level.OK
    pass_time(service, days=400)
    assert "the last backup is of 2026-11-22" in found(service)["backup-age"].says


def test_administrators_who_can_act_end_their_warning(service: Service) -> None:
    users = service.ground.administration.users
    for number, role in enumerate((Role.SYSTEM, Role.BUSINESS, Role.AUDIT, Role.BUSINESS)):
        user = users.create_user(f"u{number}", display_name="x", role=role, actor="test")
        assert level_of(service, "administrators") is Level.WARNING
        users.complete_setup(users.create_setup_link(user, actor="test"), "Correct horse 9 battery")
    assert level_of(service, "administrators") is Level.OK


def test_a_database_that_cannot_be_opened_is_the_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("the database cannot be reached")

    monkeypatch.setattr(run, "open_ground", away)
    findings = check_installation(load_settings(None), prepare_state(tmp_path / "var"))
    assert [one.check for one in findings if one.level is Level.CRITICAL] == ["database"]
    assert {one.level for one in findings} == {Level.CRITICAL, Level.UNKNOWN}
    assert len(findings) == len(CHECKS[HostRole.CA])


def test_a_keystore_that_does_not_open_is_the_finding(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise Misconfigured("the passphrase does not open it")

    ground = service.ground
    monkeypatch.setattr(run, "open_service", locked)
    monkeypatch.setattr(run, "open_ground", lambda *_: ground)
    monkeypatch.setattr(type(ground), "close", lambda _: None)
    findings = {one.check: one for one in check_installation(ground.settings, ground.state)}
    assert findings["ca-keys"].level is Level.CRITICAL
    assert findings["ca-keys"].says == "the passphrase does not open it"
    assert findings["database"].level is Level.OK
    assert findings["crl-age"].level is Level.UNKNOWN


def test_what_a_check_cannot_find_out_is_unknown_and_critical_outweighs_it() -> None:
    def fails(_: None) -> list[Fault]:
        raise Unavailable("away")

    unknown = look(Check("a", "x", "remedy", fails), None)
    assert (unknown.level, unknown.says, unknown.remedy) == (Level.UNKNOWN, "away", "remedy")
    critical = look(Check("b", "x", "r", lambda _: [Fault(Level.CRITICAL, "bad")]), None)
    warning = look(Check("c", "x", "r", lambda _: [Fault(Level.WARNING, "so")]), None)
    assert worst_of([]) is Level.OK
    assert worst_of([warning]) is Level.WARNING
    assert worst_of([warning, unknown]) is Level.UNKNOWN
    assert worst_of([warning, unknown, critical]) is Level.CRITICAL


def test_every_check_is_in_the_document_and_no_other() -> None:
    document = Path(__file__).parents[3] / "docs" / "health-check.md"
    rows = re.findall(
        r"^\| `([\w-]+)` \| (.*?) \| (.*) \|$", document.read_text("utf-8"), re.MULTILINE
    )
    known = (*HOST_CHECKS, *AUTHORITY_CHECKS, *CENTRE_CHECKS, *DESK_CHECKS)
    assert rows == [(check.name, check.looks_at, check.remedy) for check in known]
