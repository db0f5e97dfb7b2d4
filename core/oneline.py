"""Names that people choose and others read: one line that shows what it holds.

A line end in a name makes a line of a list that nobody wrote, and a bidirectional override makes
an application look like another one on the page that asks for consent. Private and unassigned
characters stay allowed: rare Chinese names are written with them.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from core.errors import Malformed

# Control, format and surrogate characters, line and paragraph separators.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def one_line(text: str, what: str, *, most: int) -> str:
    """Return `text` without the blanks around it.

    Raises `Malformed` with `what` it is, when it is empty, longer than `most` characters, or
    holds something that is not seen.
    """
    line = text.strip()
    if not 1 <= len(line) <= most or line != seen(line):
        raise Malformed(f"{what} has 1 to {most} characters on one line, none of them invisible")
    return line


def seen(text: str) -> str:
    """Return what of `text` is seen, for a name that somebody else vouches for."""
    return "".join(one for one in text if unicodedata.category(one) not in _UNSEEN).strip()
