"""Passwords that others have lost: a local file, asked without reading it whole.

The file is what Have I Been Pwned publishes "ordered by hash": one line of 40 hex digits (SHA-1) a
password, sorted, with or without ``:count``. Nothing is asked over the network: the extranet has
none, and a prefix of a password's hash is nobody's business.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from core.errors import Misconfigured

_DIGEST: Final = re.compile(rb"[0-9A-F]{40}(?::[0-9]+)?\r?\n?")
_LONGEST_LINE: Final = 64


class BreachedPasswords:
    """Looks a password up by binary search: some forty reads in a file of a billion lines."""

    def __init__(self, path: Path) -> None:
        """Raises `Misconfigured` when it is not such a file."""
        self._path = path
        try:
            with path.open("rb") as file:
                first = file.readline(_LONGEST_LINE)
        except OSError as error:
            raise Misconfigured(
                f"authn.password.breached_file: {error.strerror}: {path}"
            ) from error
        if _DIGEST.fullmatch(first) is None:
            raise Misconfigured(
                f"authn.password.breached_file: {path} does not begin with an upper-case SHA-1; "
                "`yinxin user breached-file` makes such a file from a list of passwords"
            )

    def __contains__(self, password: object) -> bool:
        if not isinstance(password, str):
            return False
        wanted = _sha1(password.encode("utf-8", "surrogatepass"))
        with self._path.open("rb") as file:
            low, high = 0, os.fstat(file.fileno()).st_size
            while low < high:
                middle = (low + high) // 2
                found = _line_after(file, middle)[:40]
                if found == wanted:
                    return True
                if found and found < wanted:
                    low = middle + 1
                else:
                    high = middle
            return _line_after(file, low)[:40] == wanted


def _line_after(file: BinaryIO, position: int) -> bytes:
    """Return the first line that begins at `position` or later."""
    file.seek(max(0, position - 1))
    if position > 0:
        file.readline(_LONGEST_LINE)
    return file.readline(_LONGEST_LINE)


def breached_lines(passwords: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of such a file for passwords in clear, one each, without line ends."""
    yield from sorted({_sha1(password) for password in passwords if password})


def _sha1(octets: bytes) -> bytes:
    # The format of the file, not a security claim.
    return hashlib.sha1(octets, usedforsecurity=False).hexdigest().upper().encode()
