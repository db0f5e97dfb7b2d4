"""Acts under control as administrators do them: on the command line, against a running service."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import Service, yinxin


class Desk:
    """Several people at the command line of one service."""

    def __init__(self, service: Service, work: Path) -> None:
        self.service, self.work = service, work

    def token(self, user: str) -> Path:
        path = self.work / f"token-{user}"
        if not path.exists():
            path.write_text(self.service.token(user))
        return path

    def run(self, user: str, *words: str | Path, check: bool = True):
        return yinxin(
            "--state", self.service.state, *words, "--token-file", self.token(user),
            environment=self.service.environment, check=check,
        )  # fmt: skip

    def ask(self, user: str, *words: str | Path):
        return json.loads(self.run(user, *words).stdout)

    def certificate(self, name: str, key: Path) -> str:
        """Issue a certificate for the key in a file; return its serial."""
        csr = self.work / f"{name}.csr"
        subprocess.run(
            ["openssl", "req", "-new", "-key", key, "-out", csr, "-subj", f"/CN={name}"],
            check=True, capture_output=True,
        )  # fmt: skip
        asked = self.ask(
            "business", "request", "submit", csr, "--profile", "device", "--issuer", "rsa-issuing"
        )
        made = self.ask("business", "request", "approve", asked["id"])
        return made["certificate"]["serial"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    work = tmp_path_factory.mktemp("control")
    service = Service(
        work / "var",
        environment={
            "YINXIN_CONTROL__MASS_REVOCATION__APPROVALS": "1",
            "YINXIN_CONTROL__PROFILE_CHANGE__APPROVALS": "1",
        },
    ).start()
    service.yinxin("user", "create", "second", "--display-name", "二", "--role", "business")
    yield Desk(service, work)
    service.stop()


def test_a_shared_key_is_revoked_everywhere_and_blocked_after_another_agrees(desk: Desk) -> None:
    key = desk.work / "shared.key"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-out", key],
        check=True, capture_output=True,
    )  # fmt: skip
    serials = [desk.certificate(f"gateway-{n}.test", key) for n in range(2)]
    pem = desk.work / "one.pem"
    desk.run("business", "certificate", "fetch", "rsa-issuing", serials[0], "--out", pem)
    words = ("revoke-many", "--same-key-as", pem)
    seen = desk.ask("business", *words, "--dry-run")
    assert (seen["total"], {one["serial"] for one in seen["first"]}) == (2, set(serials))
    missing = desk.run("business", *words, check=False)
    assert (missing.returncode, "--reason" in missing.stderr) == (1, True)

    made = desk.ask("business", *words, "--reason", "keyCompromise")
    assert made["state"] == "proposed"
    own = desk.run("business", "proposal", "approve", made["proposal"], check=False)
    assert "another person" in own.stderr
    done = desk.ask("second", "proposal", "approve", made["proposal"])
    assert (done["state"], done["approvals"][0]["officer"]) == ("executed", "second")
    for _ in range(600):
        job = desk.ask("audit", "mass-revocation", "show", made["proposal"])
        if job["state"] == "done":
            break
        time.sleep(0.1)
    assert (job["state"], job["revoked"], job["refused"]) == ("done", 2, 0)
    shown = desk.ask("audit", "certificate", "show", "rsa-issuing", serials[1])
    assert (shown["state"], shown["reason"]) == ("revoked", "keyCompromise")
    again = desk.run(
        "business", "request", "submit", desk.work / "gateway-0.test.csr", "--profile", "device",
        "--issuer", "rsa-issuing", check=False,
    )  # fmt: skip
    assert "this public key is blocked" in again.stderr
    listed = desk.ask("audit", "blocked-key", "list")
    assert [one["reason"] for one in listed] == ["keyCompromise"]


def test_a_profile_changes_without_a_restart_after_another_agrees(desk: Desk) -> None:
    file = desk.work / "gateway.toml"
    source = Path("ca/profile_data/device.toml").read_text(encoding="utf-8")
    file.write_text(source.replace('name = "device"', 'name = "gateway"'), encoding="utf-8")
    said = desk.run("system", "profile", "propose", file).stdout
    assert "new profile gateway" in said
    proposal = said.split()[-1]
    assert "gateway" not in {one["name"] for one in desk.ask("audit", "profile", "list")}
    assert desk.ask("business", "proposal", "approve", proposal)["state"] == "executed"
    assert "gateway" in {one["name"] for one in desk.ask("audit", "profile", "list")}
    assert desk.ask("audit", "profile", "versions", "gateway")[0]["actor"] == "system"
    broken = desk.work / "broken.toml"
    broken.write_text("name = 'x'\n")
    refused = desk.run("system", "profile", "propose", broken, check=False)
    assert (refused.returncode, "Field required" in refused.stderr) == (1, True)
