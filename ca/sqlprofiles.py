"""`ca.liveprofiles.ProfileStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import func, insert, select

from ca.liveprofiles import ProfileVersion
from ca.tables_profiles import profile_versions
from core.db import Database


class SQLProfileStore:
    """Versions of profiles on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_profile_version(self, version: ProfileVersion) -> None:
        values = asdict(version)
        del values["number"]
        with self._database.transaction() as connection:
            connection.execute(insert(profile_versions).values(values))

    def stamp_of_profiles(self) -> tuple[int, int]:
        statement = select(func.count(), func.max(profile_versions.c.number))
        with self._database.reading() as connection:
            count, last = connection.execute(statement).one()
        return int(count), int(last or 0)

    def list_profile_versions(self, *, name: str | None = None) -> Sequence[ProfileVersion]:
        columns = profile_versions.c
        statement = select(profile_versions).order_by(columns.number)
        if name is not None:
            statement = statement.where(columns.name == name)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            ProfileVersion(int(row.number), row.name, row.text, row.proposal, row.actor, row.at)
            for row in rows
        ]
