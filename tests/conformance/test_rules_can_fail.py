"""The rules that guard the tree notice what they forbid: each planted violation is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_TREE = Path(__file__).parents[2]
_PACKAGES = ("core", "keystore", "ca", "crl", "authn", "yinxin")

_FORBIDDEN_CALLS = [
    ("ca/planted.py", "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n"),
    ("crl/planted.py", "import time\n\nNOW = time.time()\n"),
    ("authn/planted.py", "import random\n\nCODE = random.randbytes(32)\n"),
    ("core/planted.py", 'import os\n\nHOME = os.environ["HOME"]\n'),
    (
        "ca/planted.py",
        "from cryptography.hazmat.primitives import serialization as s\n\ns.load_pem_private_key\n",
    ),
]

_FORBIDDEN_IMPORTS = [
    ("core", "import keystore.backend"),
    ("keystore", "import ca.issuer"),
    ("ca", "import crl.tbs"),
    ("authn", "import ca.store"),
    ("authn", "import crl"),
    ("crl", "import authn.users"),
    ("crl", "import yinxin.settings"),
    ("ca", "import keystore.backends"),
    ("keystore", "import sqlalchemy"),
]

_WRONG_TYPES = {
    "signing what was not reserved": (
        "from ca.issuer import Issued, Issuer, Prepared\n\n\n"
        "def sign(issuer: Issuer, prepared: Prepared) -> Issued:\n"
        "    return issuer.sign(prepared)\n"
    ),
    "an optional result used unseen": (
        "from keystore.backend import KeyBackend\nfrom keystore.keyref import KeyRef\n\n\n"
        "def spki(backend: KeyBackend, ref: KeyRef) -> bytes:\n"
        "    return backend.find(ref).public_key\n"
    ),
}


@pytest.mark.parametrize(("name", "source"), _FORBIDDEN_CALLS)
def test_ruff_finds_a_banned_call(name: str, source: str) -> None:
    found = _ruff(name, source)
    assert found.returncode == 1
    assert "TID251" in found.stdout


def test_ruff_lets_the_one_place_ask_the_time() -> None:
    name, source = "core/clock.py", _FORBIDDEN_CALLS[0][1]
    assert "TID251" not in _ruff(name, source).stdout


@pytest.fixture(scope="module")
def copied_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree")
    for package in _PACKAGES:
        shutil.copytree(_TREE / package, copy / package)
    shutil.copy(_TREE / "pyproject.toml", copy)
    return copy


def test_the_floors_hold_in_the_copied_tree(copied_tree: Path) -> None:
    found = _lint_imports(copied_tree)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(("package", "statement"), _FORBIDDEN_IMPORTS)
def test_import_linter_finds_a_step_up_the_floors(
    package: str, statement: str, copied_tree: Path
) -> None:
    planted = copied_tree / package / "planted.py"
    planted.write_text(f"{statement}\n")
    try:
        found = _lint_imports(copied_tree)
    finally:
        planted.unlink()
    assert found.returncode == 1
    assert f"{package}.planted" in found.stdout


@pytest.mark.parametrize("violation", _WRONG_TYPES)
def test_mypy_finds(violation: str, tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(_WRONG_TYPES[violation])
    found = _run("mypy", "--config-file", _TREE / "pyproject.toml", planted, directory=_TREE)
    assert found.returncode == 1
    assert "1 error in 1 file" in found.stdout, found.stdout


def _ruff(name: str, source: str) -> subprocess.CompletedProcess[str]:
    return _run("ruff", "check", "--stdin-filename", name, "-", directory=_TREE, given=source)


def _lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    return _run("lint-imports", "--no-cache", directory=directory)


def _run(
    tool: str, *arguments: str | Path, directory: Path, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / tool), *map(str, arguments)]
    return subprocess.run(
        command, cwd=directory, input=given, capture_output=True, text=True, check=False
    )
