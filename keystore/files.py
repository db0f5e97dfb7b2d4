"""Files that are whole or absent: written aside, synced, then given their name."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from core.errors import Conflict, Misconfigured


def private_directory(path: Path) -> None:
    """Make `path` if it is missing, 0700. Raises `Misconfigured` if it cannot be, or is open."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(path, 0o700)
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise Misconfigured(f"{path} cannot be written to by this user")
    except OSError as error:
        raise Misconfigured(f"cannot use {path} for keys: {error.strerror}") from error


def require_private(path: Path, mode: int) -> None:
    """Raises `Misconfigured` if anybody but the owner can touch `path`."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Misconfigured(f"{path} is open to others: chmod {mode:o} {path}")


def write_new(path: Path, content: bytes) -> None:
    """Write a file with mode 0600, durably. Raises `Conflict` if it exists, changing nothing."""
    aside = path.with_name(f".{secrets.token_hex(8)}.new")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: it fails when the name is taken.
        os.link(aside, path)
    except FileExistsError as error:
        raise Conflict(f"{path.name} exists and is never replaced") from error
    finally:
        aside.unlink(missing_ok=True)
    sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove a file, durably. Raises `FileNotFoundError`."""
    path.unlink()
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
