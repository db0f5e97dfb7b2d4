"""One database of each kind for the files whose tests keep out of each other's way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.db import Database
from tests import databases


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with every imported table, made once for a whole file of tests."""
    if request.param == "sqlite":
        opened = databases.sqlite(tmp_path_factory.mktemp("shared"))
    else:
        opened = databases.on_postgres(request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()
