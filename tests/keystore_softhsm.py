"""A fresh SoftHSM token for one test, and the stock tools that look at it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest

from keystore.config import PKCS11Config

PIN = "4711-0815"
SO_PIN = "so-4711-0815"
LABEL = "issuing"
_PLACES = ("/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm", "/usr/lib/aarch64-linux-gnu")


@dataclass(frozen=True)
class Token:
    config: PKCS11Config
    directory: Path


def module() -> Path:
    """Where SoftHSM's module is. Fails when it is not installed: a test that needs it must run."""
    for place in _PLACES:
        path = Path(place) / "libsofthsm2.so"
        if path.exists():
            return path
    pytest.fail("libsofthsm2.so is not installed (apt-get install softhsm2)")


def initialise(label: str = LABEL) -> None:
    """Make a token with the stock tool, in the directory that SOFTHSM2_CONF names."""
    command = ["softhsm2-util", "--init-token", "--free", "--label", label]
    subprocess.run(
        [*command, "--pin", PIN, "--so-pin", SO_PIN], check=True, capture_output=True, timeout=60
    )


def tool(*arguments: str) -> str:
    """Run `pkcs11-tool` as a logged-in user, and return what it prints."""
    command = ["pkcs11-tool", "--module", str(module()), "--token-label", LABEL]
    done = subprocess.run(
        [*command, "--login", "--pin", PIN, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


@pytest.fixture
def softhsm_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Token]:
    directory = tmp_path / "tokens"
    directory.mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {directory}\nlog.level = ERROR\n")
    # The module reads this variable when it is initialised.
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    initialise()
    yield Token(PKCS11Config(module=module(), token=LABEL), directory)
    library = pkcs11.lib(str(module()))
    library.finalize()
