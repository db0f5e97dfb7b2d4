"""Statements that write, as one: PostgreSQL does what several say at the cost of little more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial
from itertools import chain, count
from typing import Final

from core.libpq import Values
from core.lines import Written

_PARAMETER: Final = re.compile(rb"\$(\d+)")
_NUMBERS: Final = count(1)


def combined(asked: Sequence[tuple[Written, Values]]) -> Sequence[tuple[Written, Values]]:
    """Return statements that write as one that does the same, and gives nothing.

    They must not depend on each other: all see what was there before, their order is not told, and
    a row may be written by one of them only (PostgreSQL, 7.8.4).
    """
    if len(asked) < 2:
        return asked
    statements, values = zip(*asked, strict=True)
    one = _together(statements, tuple(map(len, values)))
    return [(one, list(chain.from_iterable(values)))]


@cache  # whoever asks has a handful of such lists in its text
def _together(statements: tuple[Written, ...], counts: tuple[int, ...]) -> Written:
    texts, before = list[bytes](), 0
    for statement, parameters in zip(statements, counts, strict=True):
        texts.append(_PARAMETER.sub(partial(_moved, before), statement.text))
        before += parameters
    *others, last = texts
    clauses = b", ".join(b"part_%d AS (%b)" % one for one in enumerate(others))
    return Written(b"yinxin_combined_%d" % next(_NUMBERS), b"WITH %b %b" % (clauses, last))


def _moved(by: int, parameter: re.Match[bytes]) -> bytes:
    return b"$%d" % (int(parameter[1]) + by)
