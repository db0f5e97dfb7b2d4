"""Where a passphrase or a PIN comes from: fetched when it is needed, and not kept by us."""

from __future__ import annotations

import getpass
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.errors import Misconfigured

SecretSource = Callable[[], bytes]
"""Returns the secret, or raises `Misconfigured` with one sentence."""

_MAX_OCTETS: Final = 1024


def from_file(path: Path) -> SecretSource:
    """Read the first line of a file that nobody but its owner can read."""

    def read() -> bytes:
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(_MAX_OCTETS + 1)
        except OSError as error:
            raise Misconfigured(f"cannot read the secret in {path}: {error.strerror}") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Misconfigured(f"{path} is open to others: chmod 600 {path}")
        return _checked(content.partition(b"\n")[0].rstrip(b"\r"), str(path))

    return read


def from_value(text: str) -> SecretSource:
    """Take a secret that the settings have read from the environment."""
    return lambda: _checked(text.encode(), "the value given")


def from_prompt(question: str) -> SecretSource:
    """Ask on the terminal, without echo."""

    def ask() -> bytes:
        try:
            return _checked(getpass.getpass(question).encode(), "the answer")
        except EOFError as error:
            raise Misconfigured("a passphrase is needed, and there is no terminal") from error

    return ask


def _checked(secret: bytes, where: str) -> bytes:
    if not secret:
        raise Misconfigured(f"the secret is empty: {where}")
    if len(secret) > _MAX_OCTETS:
        raise Misconfigured(f"the secret is longer than {_MAX_OCTETS} octets: {where}")
    return secret
