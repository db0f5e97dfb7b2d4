"""`scripts/demo` drives the whole main job, on both databases."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests import postgres
from tests.service import Service

ROOT = Path(__file__).parents[2]


@pytest.mark.openssl
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_demo_does_every_step(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = {}
    if kind == "postgres":
        server = request.getfixturevalue("postgres_url")
        url = postgres.fresh_database(server, f"d{secrets.token_hex(8)}")
        environment = {"YINXIN_DATABASE__URL": url}
    service = Service(tmp_path / "var", environment).start()
    try:
        done = subprocess.run(
            [sys.executable, ROOT / "scripts/demo", "--state", service.state],
            env=os.environ | service.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        assert service.stop() == 0
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert done.stdout.count("  ok  ") >= 35
    assert "Every step did what it should." in done.stdout
    if kind == "postgres":
        assert not (service.state / "yinxin.sqlite3").exists()


def test_the_demo_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/demo", "--state", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "scripts/serve" in done.stderr
