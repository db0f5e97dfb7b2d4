"""Rows as one JSON text for PostgreSQL: nothing is lost, and what cannot be kept is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select

from core.errors import Malformed
from core.rows import as_json, insert_rows


def test_values_are_written_as_postgresql_reads_them() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    row = {"a": "市", "b": b"\x00\xff", "c": at, "d": None, "e": True, "f": 1 << 62}
    assert json.loads(as_json([row])) == [
        {
            "a": "市",
            "b": "\\x00ff",
            "c": "2026-01-02T03:04:05.000678+00:00",
            "d": None,
            "e": True,
            "f": 1 << 62,
        }
    ]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_no_database_holds_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        as_json([{"a": "fine"}, {"a": text}])


def test_a_backslash_before_u0000_is_only_text() -> None:
    assert json.loads(as_json([{"a": "\\u0000"}])) == [{"a": "\\u0000"}]


def test_a_naive_time_is_not_stored() -> None:
    with pytest.raises(ValueError, match="datetime"):
        as_json([{"a": datetime(2026, 1, 1)}])  # noqa: DTZ001  # on purpose


def test_values_go_by_the_names_of_their_columns() -> None:
    table = Table("t", MetaData(), Column("a", Integer), Column("b", String(9)))
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        table.create(connection)
        insert_rows(connection, table, [{"a": 1, "b": "one"}, {"b": "two", "a": 2}])
        assert connection.execute(select(table)).all() == [(1, "one"), (2, "two")]
        with pytest.raises(ValueError, match="same columns"):
            insert_rows(connection, table, [{"a": 1}, {"a": 2, "b": "two"}])
    engine.dispose()
