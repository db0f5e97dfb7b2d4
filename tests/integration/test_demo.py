"""`scripts/demo` drives the whole main job, on both databases."""

from __future__ import annotations

import secrets
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

from tests import postgres
from tests.service import Service

ROOT = Path(__file__).parents[2]


@pytest.mark.openssl
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_demo_does_every_step(
    kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment = {}
    if kind == "postgres":
        server = request.getfixturevalue("postgres_url")
        url = postgres.fresh_database(server, f"d{secrets.token_hex(8)}")
        environment = {"YINXIN_DATABASE__URL": url}
    service = Service(tmp_path / "var", environment).start()
    loader = SourceFileLoader("demo", str(ROOT / "scripts/demo"))
    demo = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(demo)
    typed = demo.Demo.yinxin

    def yinxin(self: object, *words: str | Path) -> str:
        # The first as people type it; importing everything for each other costs three seconds.
        return typed(self, *words) if words[0] == "config" else service.yinxin(*words)

    monkeypatch.setattr(demo.Demo, "yinxin", yinxin)
    monkeypatch.setattr(sys, "argv", ["demo", "--state", str(service.state)])
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    try:
        code = demo.main()
    finally:
        assert service.stop() == 0
    said = capsys.readouterr()
    assert code == 0, said.out + said.err
    assert "FAIL" not in said.out
    assert said.out.count("  ok  ") >= 35
    assert "Every step did what it should." in said.out
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
