"""The words by which a certificate is found: of its subject, folded, one row of the index each.

Latin words are found by their beginning, Chinese text by any part of it. Chinese is written
without spaces, so each two neighbours are a term (bigrams), and so is the last character alone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

MAX_QUERY_TERMS: Final = 16
_MAX_TERM: Final = 32
_START: Final = r"(?:^|(?<=[,+])(?<!\\[,+]))"
"""Where an attribute begins: not behind an escaped comma (RFC 4514, 2.4)."""
_COUNTRY: Final = re.compile(_START + r"C=[A-Za-z]{2}(?=,|$)")
"""Every certificate has it: a term that finds everything finds nothing."""
_TYPE: Final = re.compile(_START + r"[A-Za-z0-9.-]+=")
_RUN: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One term that a subject must have."""

    text: str
    whole: bool
    """False: any term that begins with `text` will do."""


def terms_of(subject: str) -> frozenset[str]:
    """Return the terms of a subject in RFC 4514 text. Its country is none of them."""
    found: set[str] = set()
    for run in _runs(_TYPE.sub(" ", _COUNTRY.sub("", subject))):
        if _is_chinese(run):
            found.update(run[at : at + 2] for at in range(len(run)))
        else:
            found.add(run[:_MAX_TERM])
    return frozenset(found)


def wanted_terms(query: str) -> tuple[Wanted, ...]:
    """Return what a subject must have to be found by `query`; at most 16, and maybe none."""
    wanted: dict[Wanted, None] = {}
    for run in _runs(query):
        if not _is_chinese(run):
            wanted[Wanted(run[:_MAX_TERM], whole=False)] = None
        elif len(run) == 1:
            wanted[Wanted(run, whole=False)] = None
        else:
            for at in range(len(run) - 1):
                wanted[Wanted(run[at : at + 2], whole=True)] = None
    return tuple(wanted)[:MAX_QUERY_TERMS]


def _runs(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    # A change of script ends a word: "county公安局17" is three of them.
    runs: list[str] = []
    for run in _RUN.findall(folded):
        runs.extend(_parts(run))
    return runs


def _parts(run: str) -> list[str]:
    parts = [run[0]]
    for character in run[1:]:
        if _is_chinese(character) == _is_chinese(parts[-1][0]):
            parts[-1] += character
        else:
            parts.append(character)
    return parts


def _is_chinese(text: str) -> bool:
    first = ord(text[0])
    return 0x2E80 <= first <= 0x9FFF or 0xF900 <= first <= 0xFAFF or first >= 0x20000
