"""The history of the database ends exactly where the tables of the code are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import delete, insert

import yinxin.migrations
from core import versions
from core.db import Database, metadata, open_database
from core.errors import Misconfigured
from tests import postgres
from yinxin.schema import revisions, upgrade

# SQLAlchemy calls a decorated type an object: ours are times.
_VALUES = {str: "x", object: datetime(2026, 11, 29, tzinfo=UTC)}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.sqlite3"
    server = request.getfixturevalue("postgres_url")
    return postgres.fresh_database(server, f"m{secrets.token_hex(8)}")


@pytest.fixture
def empty(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


def test_migrations_make_exactly_the_tables_of_the_code(empty: Database) -> None:
    upgrade(empty)
    with empty.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    for table in versions._counted:  # the triggers, too
        row = {one.name: _VALUES[one.type.python_type] for one in table.c if not one.nullable}
        before = versions.read_version(empty, table)
        with empty.transaction() as connection:
            connection.execute(insert(table), row)
            connection.execute(delete(table))
        assert before is not None
        assert versions.read_version(empty, table) == before + 2


def test_upgrading_twice_changes_nothing(empty: Database) -> None:
    upgrade(empty)
    upgrade(empty)
    with empty.reading() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == revisions()[-1]


def test_two_nodes_may_start_on_one_empty_database(url: str) -> None:
    nodes = [open_database(url) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(upgrade, nodes))
    for node in nodes:
        node.close()


def test_a_database_from_a_newer_release_is_refused_and_untouched(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Misconfigured, match="newer release"):
        upgrade(empty)
    with empty.reading() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "9999"


def test_the_numbers_of_the_files_are_the_history() -> None:
    directory = Path(yinxin.migrations.__file__).parent
    history = ScriptDirectory(str(directory)).walk_revisions()
    assert [script.revision for script in history][::-1] == revisions()
