"""Files that the caller names: what is wrong with one is said in a sentence."""

from __future__ import annotations

from pathlib import Path

from core.errors import Refused


def read_ascii(path: Path) -> str:
    """Return the text of a PEM or token file. Raises `Refused`."""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise Refused(f"cannot read {path}: {reason}") from error


def read_octets(path: Path) -> bytes:
    """Return what a file holds. Raises `Refused`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from error


def write_octets(path: Path, octets: bytes) -> None:
    """Write a file. Raises `Refused`."""
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}") from error
