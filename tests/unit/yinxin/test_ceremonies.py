"""Ceremonies as people hold them: approvals, files beside one another, a transcript."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import Conflict, Forbidden, InvalidSignature, NotFound, Refused
from core.identity import Principal, Role
from tests import databases
from tests.fakes.clock import FakeClock
from yinxin.ceremonies import CeremonyDesk, Files, verify
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import Service, open_ground, open_service

ROOT = """act = "root"
name = "{name}"
key_algorithm = "ec-p256"
subject = {{ C = "CN", O = "Test", CN = "{name}" }}
"""
OFFICER = Principal("bob", Role.SYSTEM, "token")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YINXIN_CONTROL__CA_CERTIFICATE__APPROVALS", "1")
        state = prepare_state(tmp_path_factory.mktemp("ceremonies") / "var")
        databases.lay_tables(state.directory)
        made = open_service(open_ground(load_settings(None), state, clock=FakeClock()))
    yield made
    made.close()


@pytest.fixture
def desk(service: Service) -> CeremonyDesk:
    return CeremonyDesk(service, actor="local:alice")


def written(tmp_path: Path, name: str) -> Files:
    path = tmp_path / f"{name}.toml"
    path.write_text(ROOT.format(name=name))
    return Files(path)


def test_a_ca_certificate_needs_the_approval_of_exactly_its_plan(
    service: Service, desk: CeremonyDesk, tmp_path: Path
) -> None:
    files = written(tmp_path, "first")
    with pytest.raises(NotFound, match="ceremony keys"):
        desk.plan(files)
    desk.keys(files)
    digest = desk.plan(files).digest
    with pytest.raises(Forbidden, match=f"1 approvals of plan {digest}"):
        desk.run(files, approved=digest)
    assert service.authority.store.find_issuer("first") is None

    proposal = desk.propose(files)
    control = service.ground.control
    with pytest.raises(Forbidden):
        control.approve(proposal.id, actor=Principal("local:alice", Role.SYSTEM, "token"))
    with pytest.raises(Forbidden):
        desk.run(files, approved=digest)
    control.approve(proposal.id, actor=OFFICER)
    _, made = desk.run(files, approved=digest)
    assert service.issuers["first"].certificate == made.der
    assert control.get(proposal.id).state == "executed"
    steps = [json.loads(line) for line in files.transcript.read_text().splitlines()]
    approved = next(step for step in steps if step.get("step") == "approved")
    assert (approved["by"], approved["proposal"]) == (["bob"], proposal.id)

    before = files.transcript.read_bytes()
    assert desk.run(files, approved=digest)[1].der == made.der, "asks for no second approval"
    assert files.transcript.read_bytes() == before


def test_an_approval_is_not_good_for_another_plan(
    service: Service, desk: CeremonyDesk, tmp_path: Path
) -> None:
    approved, other = written(tmp_path, "second"), written(tmp_path, "third")
    for files in (approved, other):
        desk.keys(files)
    service.ground.control.approve(desk.propose(approved).id, actor=OFFICER)
    with pytest.raises(Forbidden):
        desk.run(other, approved=desk.plan(other).digest)
    with pytest.raises(Refused, match="not the one that was approved"):
        desk.run(approved, approved=desk.plan(other).digest)
    assert not approved.result.exists()


def test_a_lock_stays_and_belongs_to_one_version_of_the_file(
    desk: CeremonyDesk, tmp_path: Path
) -> None:
    files = written(tmp_path, "fourth")
    first = desk.keys(files)
    assert desk.keys(files) == first
    files.path.write_text(files.path.read_text() + "path_length = 1\n")
    with pytest.raises(Refused, match="changed after its lock"):
        desk.plan(files)
    with pytest.raises(Conflict, match="earlier version"):
        desk.keys(files)
    files.lock.unlink()
    again = desk.keys(files)
    assert (again.public_key, again.serial != first.serial) == (first.public_key, True)


def test_a_run_whose_transcript_was_not_written_writes_it_the_next_time(
    service: Service, desk: CeremonyDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = written(tmp_path, "fifth")
    desk.keys(files)
    plan = desk.plan(files)
    service.ground.control.approve(desk.propose(files).id, actor=OFFICER)

    def killed(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr("yinxin.ceremonies.write_transcript", killed)
        desk.run(files, approved=plan.digest)
    assert not files.transcript.exists()
    desk.run(files, approved=plan.digest)
    assert verify(files.transcript, audit_key=None).plan == plan.digest
    files.transcript.chmod(0o600)
    files.transcript.write_bytes(files.transcript.read_bytes().replace(b"alice", b"mallo"))
    with pytest.raises(InvalidSignature):
        verify(files.transcript, audit_key=None)
