"""Organisations to choose from, where there may be more of them than a list shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from yinxin.console.api import ConsoleAPI, Problem, path_of
from yinxin.console.lists import PAGE, criteria
from yinxin.console.session import signed_in

FIND: Final = "find"


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

    def choices_with(self, chosen: str) -> Sequence[tuple[str, str]]:
        """Return those to choose from, and what is chosen now in front, if it is not of them."""
        if not chosen or any(one == chosen for one, _ in self.choices):
            return self.choices
        return ((chosen, self.names.get(chosen, chosen)), *self.choices)


async def places_for(
    api: ConsoleAPI, request: Request, chosen: Iterable[str | None] = ()
) -> Places:
    """Return the organisations to choose from, by the name that is looked for in the address."""
    asking, text = signed_in(request), criteria(request, FIND).get(FIND, "")
    path = path_of("organisations")
    page = await api.get(asking, path, limit=PAGE, text=text or None)
    choices = tuple((one["id"], one["name"]) for one in page["items"])
    names = dict(choices)
    for place in dict.fromkeys(chosen):
        if place and place not in names:
            try:
                found = await api.get(asking, path_of("organisations", place))
                names[place] = found["organisation"]["name"]
            except Problem:
                names[place] = place
    return Places(names, choices, text, page["next_cursor"] is not None)
