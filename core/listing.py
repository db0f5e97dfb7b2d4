"""Sorting and paging a list that is in memory: behind an item, not at an offset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from core.errors import Malformed

T = TypeVar("T")


def page_of(
    items: Sequence[T],
    keys: Mapping[str, Callable[[T], Any]],
    identifier: Callable[[T], str],
    sort: str | None,
    after: str | None,
) -> list[T]:
    """Return the items behind `after`, in the order of `sort`; None: in their own.

    `sort` is the name of a key, with ``-`` in front for the greatest first. Raises `Malformed`.
    """
    found = list(items)
    if sort is not None:
        key = keys.get(sort.removeprefix("-"))
        if key is None:
            raise unknown(sort, keys)
        found.sort(key=lambda item: (key(item), identifier(item)), reverse=sort.startswith("-"))
    if after is None:
        return found
    places = [at for at, item in enumerate(found) if identifier(item) == after]
    return found[places[0] + 1 :] if places else []


def unknown(sort: str | None, names: Iterable[str]) -> Malformed:
    """Return what is said of an order that a list does not have."""
    return Malformed(
        f"sort: not {sort!r:.40}; one of {', '.join(names)}, with - in front or without"
    )
