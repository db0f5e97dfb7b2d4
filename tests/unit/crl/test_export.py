"""Answers as files: what is there, what is kept, what changes."""

from __future__ import annotations

import os
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

from cryptography.x509 import ocsp

from crl.ocsp.export import Exported, export_answers
from tests.unit.crl.requests import cert_id, request
from tests.unit.crl.world import World


def run(world: World, directory: Path) -> Exported:
    keeper = world.make_keeper(directory)
    keeper.follower.follow()
    done = export_answers(
        keeper.store.statuses(),
        world.responder,
        dict(world.issuers),
        directory / "files",
        validity=timedelta(hours=24),
        clock=world.clock,
    )
    keeper.close()
    return done


def test_every_answer_is_a_file_named_by_its_request(world: World, tmp_path: Path):
    good, gone = world.issue("ec-issuing"), world.issue("ec-issuing")
    world.revoke(gone)

    def said(issued) -> ocsp.OCSPCertStatus:
        asked = request(cert_id(world.issuers["ec-issuing"], issued.serial))
        file = tmp_path / "files/ocsp" / b64encode(asked).decode()
        return ocsp.load_der_ocsp_response(file.read_bytes()).certificate_status

    first = run(world, tmp_path)
    assert first.kept == 0
    assert said(good) is ocsp.OCSPCertStatus.GOOD
    assert said(gone) is ocsp.OCSPCertStatus.REVOKED
    files = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert len(files) == first.written
    assert not [path for path in files if path.suffix == ".new"]
    # Files have the time of the disk, the world one of its own: both are set to agree.
    now = world.clock.now().timestamp()

    def agree() -> None:
        for path in (tmp_path / "files").rglob("*"):
            os.utime(path, (now, now))

    agree()
    world.clock.advance(hours=5)
    new = world.issue("ec-issuing")
    second = run(world, tmp_path)
    assert second.written >= 1
    assert second.kept >= first.written - 1
    assert said(new) is ocsp.OCSPCertStatus.GOOD
    agree()
    world.clock.advance(hours=3)
    assert run(world, tmp_path) == Exported(first.written + 1, 0)
