"""Statements without SQLAlchemy's machinery: alike on both databases, in transactions and alone."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError

from authn.oidc.tables import codes
from core.db import Database, open_database
from core.errors import Malformed, Unavailable
from core.statements import Statement
from tests import databases

NOW = datetime(2026, 11, 29, 9, 30, 1, 250, tzinfo=UTC)
ADD = Statement(insert(codes))
FIND = Statement(select(codes).where(codes.c.digest == bindparam("of")))
USE = Statement(
    update(codes)
    .where(codes.c.digest == bindparam("of"), codes.c.used_at.is_(None))
    .values(used_at=bindparam("now"))
)
TAKE = Statement(
    delete(codes).where(codes.c.digest == bindparam("of")).returning(codes.c.nonce, codes.c.sid)
)


def _row(digest: bytes = b"d" * 32, **other: object) -> dict[str, object]:
    return {
        "digest": digest,
        "grant_id": "g",
        "client_id": "app",
        "user_id": None,
        "sid": "s",
        "granted": '{"scope":"openid"}',
        "confirmation": None,
        "redirect_uri": "https://app.example.test/回",
        "nonce": "n",
        "code_challenge": "c",
        "subject": None,
        "expires_at": NOW,
        "used_at": None,
    } | other


def test_a_row_comes_back_as_it_went(database: Database) -> None:
    beijing = NOW.astimezone(timezone(timedelta(hours=8)))
    assert database.run(ADD, _row(expires_at=beijing)).changed == 1
    row = database.run(FIND, {"of": b"d" * 32}).first()
    assert row is not None
    assert row._asdict() == _row()
    assert row.expires_at.tzinfo is UTC
    assert database.run(FIND, {"of": b"e" * 32}).first() is None


def test_how_many_rows_were_changed_is_said(database: Database) -> None:
    database.run(ADD, _row())
    assert [database.run(USE, {"of": b"d" * 32, "now": NOW}).changed for _ in range(2)] == [1, 0]
    assert database.run(TAKE, {"of": b"d" * 32}).rows[0] == ("n", "s")
    assert database.run(TAKE, {"of": b"d" * 32}).rows == []


def test_it_joins_the_transaction_of_the_thread(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        database.run(ADD, _row())
        assert database.run(FIND, {"of": b"d" * 32}).first() is not None
        assert len(connection.execute(select(codes)).all()) == 1
        raise ZeroDivisionError
    assert database.run(FIND, {"of": b"d" * 32}).first() is None
    with database.transaction():
        database.run(ADD, _row())
    assert database.run(FIND, {"of": b"d" * 32}).first() is not None


def test_writes_are_noticed(database: Database) -> None:
    before = database.version(codes)
    database.run(FIND, {"of": b""})
    assert database.version(codes) == before
    database.run(ADD, _row())
    alone = database.version(codes)
    assert alone != before
    with database.transaction():
        database.run(TAKE, {"of": b"d" * 32})
    assert database.version(codes) != alone


def test_a_conflict_is_an_integrity_error_and_says_no_values(database: Database) -> None:
    database.run(ADD, _row())
    for _ in range(2):  # and the connection is good afterwards
        with pytest.raises(IntegrityError) as alone:
            database.run(ADD, _row())
        assert "dddd" not in str(alone.value)
        assert r"\x64" not in str(alone.value)
    with pytest.raises(IntegrityError), database.transaction():
        database.run(ADD, _row())


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_one_database_cannot_hold_is_refused_on_both(database: Database, value: str) -> None:
    with pytest.raises(Malformed):
        database.run(ADD, _row(nonce=value))
    with pytest.raises(Malformed), database.transaction():
        database.run(ADD, _row(nonce=value))
    assert database.run(FIND, {"of": b"d" * 32}).first() is None


def test_a_value_that_is_missing_is_an_error_of_ours(database: Database) -> None:
    with pytest.raises(KeyError):
        database.run(USE, {"of": b""})


@pytest.mark.postgres
def test_a_lost_connection_is_unavailable_and_then_another_one(postgres_url: str) -> None:
    with closing(databases.on_postgres(postgres_url)) as database:
        _lose_connections(database)


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with closing(open_database(f"postgresql+psycopg://li@/pki?host={tmp_path}")) as database:
        for statement, values in ((FIND, {"of": b"d" * 32}), (ADD, _row())):
            with pytest.raises(Unavailable):
                database.run(statement, values)


@pytest.mark.postgres
def test_texts_are_utf_8_whatever_the_database_prefers(postgres_url: str) -> None:
    with closing(databases.on_postgres(postgres_url)) as first:
        url = first.engine.url
        with first.transaction() as connection:
            prefers = f"ALTER DATABASE \"{url.database}\" SET client_encoding = 'EUC_CN'"
            connection.execute(text(prefers))
    with closing(open_database(url.render_as_string(hide_password=False))) as database:
        database.run(ADD, _row())
        with database.transaction():
            found = database.run(FIND, {"of": b"d" * 32}).first()
        assert found is not None
        assert found.redirect_uri == "https://app.example.test/回"


def _lose_connections(database: Database) -> None:
    end = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    database.run(ADD, _row())
    with database.reading() as connection:
        connection.execute(end)
    with pytest.raises(Unavailable):
        database.run(FIND, {"of": b"d" * 32})
    assert database.run(FIND, {"of": b"d" * 32}).first() is not None
    with pytest.raises(Unavailable), database.transaction() as connection:
        database.run(USE, {"of": b"d" * 32, "now": NOW})
        with database.engine.connect() as other:
            other.execute(end)
        database.run(FIND, {"of": b"d" * 32})
    with pytest.raises(Unavailable):  # it was lost, too, and a moment ago it was good
        database.run(FIND, {"of": b"d" * 32})
    row = database.run(FIND, {"of": b"d" * 32}).first()
    assert row is not None
    assert row.used_at is None


def test_what_is_sent_runs_before_what_comes_next(database: Database) -> None:
    with database.transaction() as connection:
        database.send(ADD, _row())
        assert database.run(USE, {"of": b"d" * 32, "now": NOW}).changed == 1
        database.send(ADD, _row(b"e" * 32))
        assert len(connection.execute(select(codes)).all()) == 2  # SQLAlchemy's, too
        database.send(ADD, _row(b"f" * 32))
    before = database.version(codes)
    database.send(ADD, _row(b"g" * 32))  # without a transaction it runs at once
    assert database.version(codes) != before
    for digest in b"defg":
        assert database.run(FIND, {"of": bytes([digest]) * 32}).first() is not None


def test_what_is_sent_is_undone_with_the_rest(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.send(ADD, _row())
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.send(ADD, _row())
        database.run(FIND, {"of": b""})
        raise ZeroDivisionError
    with database.transaction():
        database.run(FIND, {"of": b""})
    assert database.run(FIND, {"of": b"d" * 32}).first() is None


@pytest.mark.parametrize("asks", [True, False])
def test_what_is_sent_and_refused_undoes_the_transaction(database: Database, asks: bool) -> None:
    database.run(ADD, _row())
    for _ in range(2):  # and the connection is good afterwards
        with pytest.raises(IntegrityError) as refused, database.transaction():
            database.send(ADD, _row(b"e" * 32))
            database.send(ADD, _row())
            database.send(ADD, _row(b"f" * 32))
            if asks:
                database.run(FIND, {"of": b""})
        assert "dddd" not in str(refused.value)
    for digest in b"ef":
        assert database.run(FIND, {"of": bytes([digest]) * 32}).first() is None


@pytest.mark.postgres
def test_threads_run_while_another_waits_for_its_answer(postgres_url: str) -> None:
    with closing(databases.on_postgres(postgres_url)) as database:
        database.run(ADD, _row())
        order: list[str] = []

        def wait() -> None:
            with database.transaction():
                database.send(ADD, _row(b"e" * 32))
                database.run(USE, {"of": b"d" * 32, "now": NOW})  # waits for the row's lock
                order.append("second")

        with database.transaction():
            database.run(USE, {"of": b"d" * 32, "now": NOW})
            other = threading.Thread(target=wait)
            other.start()
            blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while True:
                with database.engine.connect() as look:
                    if look.execute(blocked).scalar():
                        break
            order.append("first")
        other.join()
        assert order == ["first", "second"]


def test_what_is_prepared_outlives_what_is_undone(database: Database) -> None:
    with database.transaction() as connection:
        for number in range(12):  # so often that psycopg prepares it, too
            connection.execute(select(codes).where(codes.c.digest == bytes([number]))).all()
            database.run(FIND, {"of": b""})
    for _ in range(2):
        with database.transaction() as connection:
            database.run(ADD, _row())
            with pytest.raises(IntegrityError), connection.begin_nested():
                database.run(ADD, _row())
            with pytest.raises(IntegrityError), connection.begin_nested():
                connection.execute(insert(codes).values(**_row()))
            assert database.run(FIND, {"of": b"d" * 32}).first() is not None
            assert connection.execute(select(codes.c.digest)).first() is not None
            assert database.run(TAKE, {"of": b"d" * 32}).changed == 1
        with pytest.raises(ZeroDivisionError), database.transaction():
            database.run(ADD, _row())
            raise ZeroDivisionError
        with database.transaction():
            assert database.run(FIND, {"of": b"d" * 32}).first() is None


@pytest.mark.postgres
def test_what_somebody_else_forgot_is_prepared_anew(postgres_url: str) -> None:
    with closing(databases.on_postgres(postgres_url)) as database:
        with database.transaction() as connection:
            database.run(FIND, {"of": b""})
            connection.execute(text("DEALLOCATE ALL"))
        with pytest.raises(ProgrammingError), database.transaction():
            database.run(FIND, {"of": b""})
        with database.transaction():
            assert database.run(FIND, {"of": b""}).first() is None


@pytest.mark.postgres
def test_what_a_crash_may_take_back_waits_for_no_disk(postgres_url: str) -> None:
    how = Statement(select(func.current_setting("synchronous_commit").label("how")))
    with closing(open_database(postgres_url)) as database:
        assert database.run_lightly(how, {}).rows == [("off",)]
        assert database.run(how, {}).rows == [("on",)]
        with database.transaction():  # where others' work is
            assert database.run_lightly(how, {}).rows == [("on",)]
