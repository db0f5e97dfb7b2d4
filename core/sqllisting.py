"""Sorting a list that pages: by a column, and by the number of the row where two are alike.

A page goes on behind a row and not at an offset: it costs the same wherever it is, and nothing is
shown twice because a row came in meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, select, tuple_

from core.errors import Malformed
from core.listing import unknown

_MOST_DIGITS: Final = 18


class Sorting:
    """What a list is sorted by. The columns are never NULL."""

    def __init__(self, number: Column[Any], **columns: Column[Any]) -> None:
        """`number` is unique; the first of `columns` is the order when none is asked for."""
        self._number = number
        self._columns = columns

    def page(
        self,
        statement: Select[Any],
        sort: str | None,
        behind: ColumnElement[Any] | int | str | None,
    ) -> Select[Any]:
        """Return a statement in the order of `sort`, behind the row `behind`.

        `sort` is the name of a column, with ``-`` in front for the greatest first; None: the
        newest first. Raises `Malformed` for any other.
        """
        descending = sort is None or sort.startswith("-")
        name = next(iter(self._columns)) if sort is None else sort.removeprefix("-")
        column = self._columns.get(name)
        if column is None:
            raise unknown(sort, self._columns)
        keys = (self._number,) if column is self._number else (column, self._number)
        if behind is not None and len(keys) == 1:
            statement = statement.where(
                self._number < behind if descending else self._number > behind
            )
        elif behind is not None:
            own = self._number.table.alias("behind").c
            last = [select(own[key.key]).where(own[self._number.key] == behind) for key in keys]
            there = tuple_(*(one.scalar_subquery() for one in last))
            here = tuple_(*keys)
            statement = statement.where(here < there if descending else here > there)
        return statement.order_by(*(key.desc() if descending else key for key in keys))


def row_of(identifier: Column[Any], after: str | None) -> ColumnElement[Any] | None:
    """Return the number of the row with an identifier, as a subquery; behind none is nothing."""
    if after is None:
        return None
    table = identifier.table
    return select(table.c.number).where(identifier == after).scalar_subquery()


def row_number(cursor: str | None) -> int | None:
    """Read the cursor of a page. Raises `Malformed`."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > _MOST_DIGITS:
        raise Malformed("the cursor is not one that a page of this list gave")
    return int(cursor)
