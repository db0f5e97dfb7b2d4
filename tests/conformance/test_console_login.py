"""An administrator signs in through our own provider, and the token administers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conformance.browser import Browser
from tests.service import Service

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("console") / "var").start()
    link = re.search(rf"business +({running.url}/setup/\S+)", running.log.read_text())
    assert link is not None
    Browser(running.root).submit(link[1], password=PASSWORD, repeat=PASSWORD)
    yield running
    running.stop()


def start(service: Service, token_file: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "yinxin", "--state", service.state, "login", "--token-file",
         token_file],
        env=os.environ | service.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, bufsize=1,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "/oidc/authorize?" in line:
            return process, line.strip()
    raise AssertionError("yinxin login printed no address")


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    return process.wait(timeout=60), said


def test_an_administrator_signs_in_and_the_token_has_the_role(
    service: Service, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    process, address = start(service, token_file)
    landed = Browser(service.root).log_in(
        address, until="http://127.0.0.1:8765/", name="business", password=PASSWORD
    )
    assert requests.get(landed, timeout=60).status_code == 200
    code, said = finish(process)
    assert code == 0, said
    assert token_file.stat().st_mode & 0o777 == 0o600
    listed = service.yinxin("certificate", "list", "--limit", "1", "--token-file", token_file)
    assert "items" in json.loads(listed)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        service.yinxin("certificate", "list", "--token-file", service.root)
    assert refused.value.stderr.startswith("yinxin: ")


def test_an_answer_to_another_request_is_not_taken(service: Service, tmp_path: Path) -> None:
    process, _ = start(service, tmp_path / "token")
    where = "http://127.0.0.1:8765/callback"
    assert requests.get("http://127.0.0.1:8765/other", timeout=60).status_code == 404
    requests.get(where, params={"code": "x", "state": "y", "iss": service.url}, timeout=60)
    code, said = finish(process)
    assert code == 1
    assert "does not belong to this login" in said
    assert not (tmp_path / "token").exists()
