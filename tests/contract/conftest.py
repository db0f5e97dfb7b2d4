"""One database of each kind for the files whose tests keep out of each other's way."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from core.db import Database, metadata, open_database
from tests import postgres


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with every imported table, made once for a whole file of tests."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('shared')}/test.sqlite3"
    else:
        server = request.getfixturevalue("postgres_url")
        url = postgres.fresh_database(server, f"s{secrets.token_hex(8)}")
    opened = open_database(url)
    metadata.create_all(opened.engine)
    yield opened
    opened.close()
