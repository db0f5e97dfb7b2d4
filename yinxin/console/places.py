"""Organisations to choose from, where there may be more of them than a list shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from yinxin.console.api import ConsoleAPI, Problem, path_of
from yinxin.console.lists import PAGE, criteria
from yinxin.console.session import signed_in

FIND: Final = "find"
TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "find_place": ("按名称查找机构", "Find an organisation by name"),
    "more_places": (
        "机构较多，下面只列出一部分：请先按名称查找。",
        "There are more organisations than are listed: find yours by name first.",
    ),
}


@dataclass(frozen=True, slots=True)
class Places:
    """What a page offers."""

    names: Mapping[str, str]
    """Of those to choose from, and of those that are chosen already, by id."""
    choices: tuple[tuple[str, str], ...]
    found: str
    """What was looked for."""
    more: bool
    """Whether there are others."""


async def places_for(api: ConsoleAPI, request: Request, chosen: Iterable[str]) -> Places:
    """Return the organisations to choose from, by the name that is looked for in the address."""
    asking, text = signed_in(request), criteria(request, FIND).get(FIND, "")
    path = path_of("organisations")
    page = await api.get(asking, path, limit=PAGE, text=text or None)
    choices = tuple((one["id"], one["name"]) for one in page["items"])
    names = dict(choices)
    for place in dict.fromkeys(chosen):
        if place not in names:
            try:
                found = await api.get(asking, path_of("organisations", place))
                names[place] = found["organisation"]["name"]
            except Problem:
                names[place] = place
    return Places(names, choices, text, page["next_cursor"] is not None)
