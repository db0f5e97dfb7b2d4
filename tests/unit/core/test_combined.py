"""Several statements that write, as one: each parameter stays at its place."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, insert, update
from sqlalchemy.exc import IntegrityError

from authn.oidc.tables import codes, replays
from core.combined import combined
from core.db import open_database
from core.lines import Line, line_of
from core.statements import Statement

NOW = datetime(2026, 11, 30, 2, tzinfo=UTC)
_ADD = Statement(insert(replays))
_USE = Statement(
    update(codes).where(codes.c.digest == bindparam("of")).values(used_at=bindparam("now"))
)


def test_parameters_are_numbered_anew_and_values_follow_in_order() -> None:
    use = _USE.asked({"of": b"c", "now": NOW})
    add = _ADD.asked({"digest": b"r", "expires_at": NOW})
    ((one, values),) = combined([use, add, add])
    for number in range(1, 7):
        assert one.text.count(b"$%d" % number) == 1, number
    assert values == [*use[1], *add[1], *add[1]]
    assert combined([use, add, add])[0][0] is one  # so it is prepared once
    assert combined([use, add])[0][0].name != one.name


def test_one_alone_and_none_stay_as_they_are() -> None:
    alone = [_ADD.asked({"digest": b"r", "expires_at": NOW})]
    assert combined(alone) is alone
    assert combined([]) == []


def test_all_of_them_are_done_or_none(postgres_url: str) -> None:
    with closing(open_database(postgres_url)) as database:
        with database.transaction() as connection:
            replays.create(connection, checkfirst=True)
        rows = [{"digest": bytes([one]) * 32, "expires_at": NOW} for one in (1, 2, 1)]
        fairy = database.engine.raw_connection()
        line = line_of(fairy)
        fairy.detach()
        line.connection.autocommit = True
        with closing(line.connection):
            with pytest.raises(IntegrityError):
                line.run_all(combined([_ADD.asked(row) for row in rows]))
            assert _found(line) == []
            line.run_all(combined([_ADD.asked(row) for row in rows[:2]]))
            assert _found(line) == [(b"\1" * 32, NOW), (b"\2" * 32, NOW)]


def _found(line: Line) -> list[tuple[bytes, datetime]]:
    statement = Statement(replays.select().order_by(replays.c.digest))
    return [tuple(row) for row in line.run(*statement.asked({})).rows]
