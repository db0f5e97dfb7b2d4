"""Which applications were entered in which sessions, read from what the sessions gave them.

There is no table of it: an application counts while it holds something of a session, a code, a
token, a pass, or wants to hear of its end. So what is shown is what ending the session would end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, exists, or_, select, union

from authn.legacy.tables import gate_passes
from authn.logout.tables import participations
from authn.oidc.tables import access_tokens, codes, refresh_tokens
from authn.tables import sessions
from core.db import Database

_GIVEN: Final = (codes, access_tokens, refresh_tokens, participations, gate_passes)
_CHUNK: Final = 500


def entered(client_id: str) -> ColumnElement[bool]:
    """Return the condition that an application was entered in a session."""
    return or_(
        *(
            exists().where(table.c.sid == sessions.c.sid, table.c.client_id == client_id)
            for table in _GIVEN
        )
    )


def applications_of(database: Database, sids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the ids of the applications that were entered in these sessions, by session."""
    found: dict[str, list[str]] = {}
    with database.reading() as connection:
        for start in range(0, len(sids), _CHUNK):
            some = sids[start : start + _CHUNK]
            given = union(
                *(
                    select(table.c.sid, table.c.client_id).where(table.c.sid.in_(some))
                    for table in _GIVEN
                )
            )
            for row in connection.execute(given.order_by("sid", "client_id")):
                found.setdefault(row.sid, []).append(row.client_id)
    return found
