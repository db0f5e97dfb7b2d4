"""Transactions that stores join."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, create_engine, insert, literal, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, ProgrammingError

from core import jobs
from core.db import Database, open_database
from core.errors import Malformed, Misconfigured, Unavailable
from core.jobs import Job, JobRunner, job_leases
from core.spoilt import Spoilt
from core.statements import Statement
from tests.fakes.clock import FakeClock


def _add(database: Database, name: str, until: datetime) -> None:
    with database.transaction() as connection:
        connection.execute(insert(job_leases).values(name=name, holder="x", until=until))


def _names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(job_leases.c.name)).scalars())


NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_an_inner_transaction_joins_the_outer_one(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction():
        _add(database, "inner", NOW)
        assert _names(database) == ["inner"]
        raise ZeroDivisionError
    assert _names(database) == []


def test_a_single_statement_is_durable_alone_and_joins_a_transaction(database: Database) -> None:
    def add(name: str) -> None:
        with database.single() as connection:
            connection.execute(insert(job_leases).values(name=name, holder="x", until=NOW))

    before = database.version(job_leases)
    add("alone")
    assert database.version(job_leases) != before
    with pytest.raises(ZeroDivisionError), database.transaction():
        add("inside")
        assert sorted(_names(database)) == ["alone", "inside"]
        raise ZeroDivisionError
    assert _names(database) == ["alone"]


_ADD = Statement(
    insert(job_leases).values(name=bindparam("name"), holder="x", until=bindparam("until"))
)


@pytest.mark.parametrize("how", ["statement", "sent", "sqlalchemy", "driver"])
def test_an_error_that_is_caught_without_a_savepoint_is_told_at_the_end(
    database: Database, how: str
) -> None:
    _add(database, "there", NOW)
    again = {"name": "there", "until": NOW}

    def add_again(connection: Connection) -> None:
        if how == "statement":
            database.run(_ADD, again)
        elif how == "sent":
            database.send(_ADD, again)
            database.run(Statement(select(job_leases)), {})
        elif how == "sqlalchemy":
            connection.execute(insert(job_leases).values(holder="x", **again))
        else:
            connection.exec_driver_sql("INSERT INTO job_leases (name) VALUES ('there')")

    with pytest.raises(Spoilt, match="without a savepoint"), database.transaction() as connection:
        _add(database, "before", NOW)
        with suppress(IntegrityError):
            add_again(connection)
    assert _names(database) == ["there"]
    with database.transaction():
        _add(database, "later", NOW)
    assert sorted(_names(database)) == ["later", "there"]


def test_with_a_savepoint_the_rest_is_kept(database: Database) -> None:
    _add(database, "there", NOW)
    with database.transaction() as connection:
        _add(database, "before", NOW)
        with suppress(IntegrityError), connection.begin_nested():
            database.run(_ADD, {"name": "there", "until": NOW})
        with connection.begin_nested():
            _add(database, "nested", NOW)
    assert sorted(_names(database)) == ["before", "nested", "there"]


def test_a_later_savepoint_does_not_mend_what_failed_before(database: Database) -> None:
    _add(database, "there", NOW)
    with pytest.raises((Spoilt, DBAPIError)), database.transaction() as connection:
        with suppress(IntegrityError):
            database.run(_ADD, {"name": "there", "until": NOW})
        with suppress(ZeroDivisionError), connection.begin_nested():
            raise ZeroDivisionError
    assert _names(database) == ["there"]


def test_not_even_the_driver_commits_after_an_error(postgres_url: str) -> None:
    with closing(open_database(postgres_url)) as database, database.engine.connect() as connection:
        with suppress(ProgrammingError):
            connection.execute(text("SELECT nothing FROM nowhere"))
        with pytest.raises(InternalError, match="nothing is committed"):
            connection.commit()


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    beijing = timezone(timedelta(hours=8))
    _add(database, "a", datetime(2026, 11, 22, 8, tzinfo=beijing))
    with database.reading() as connection:
        stored = connection.execute(select(job_leases.c.until)).scalar_one()
    assert stored == NOW
    assert stored.tzinfo is UTC


def test_sqlite_is_durable_and_in_wal_mode(sqlite_database: Database) -> None:
    with sqlite_database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 1 << 63, -(1 << 63) - 1])
def test_what_one_database_cannot_hold_is_refused_on_both(database: Database, value) -> None:
    with pytest.raises(Malformed), database.reading() as connection:
        connection.execute(select(literal(value)))
    with pytest.raises(Malformed), database.transaction() as connection:
        connection.execute(select(literal(value)))
    assert _names(database) == []


def test_a_pool_without_a_free_connection_is_unavailable(tmp_path: Path) -> None:
    engine = create_engine(
        f"sqlite:///{tmp_path}/t.sqlite3", pool_size=1, max_overflow=0, pool_timeout=0
    )
    database = Database(engine)
    with engine.connect(), pytest.raises(Unavailable), database.reading():
        pass
    database.close()


@pytest.mark.postgres
def test_a_connection_that_the_server_ended_is_unavailable_and_the_next_one_works(
    postgres_url: str,
) -> None:
    database = open_database(postgres_url)
    with pytest.raises(Unavailable), database.transaction() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    database.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite:////nowhere/at/all/x.db"])
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        open_database(url)


def test_a_job_runs_once_per_period_in_the_whole_cluster(
    database: Database, clock: FakeClock
) -> None:
    ran: list[str] = []
    nodes = [
        JobRunner(database, (Job("crl", 60, lambda node=node: ran.append(node)),), clock=clock)
        for node in ("a", "b")
    ]
    for node in nodes:
        node.run_due()
    assert ran == ["a"]
    clock.advance(seconds=61)
    for node in reversed(nodes):
        node.run_due()
    assert ran == ["a", "b"]


def test_a_failing_job_does_not_stop_the_next(sqlite_database: Database, clock: FakeClock) -> None:
    ran: list[int] = []
    both = (Job("bad", 60, lambda: 1 // 0), Job("good", 60, lambda: ran.append(1)))
    JobRunner(sqlite_database, both, clock=clock).run_due()
    assert ran == [1]


def test_what_is_done_once_a_day_does_not_wait_a_day_after_the_first_start(
    sqlite_database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LOOK_SECONDS", 0.01)
    ran = threading.Event()
    runner = JobRunner(sqlite_database, (Job("daily", 86_400, ran.set),), clock=clock)
    runner.start()
    began = ran.wait(60)
    runner.stop()
    assert began


def test_a_lease_from_a_clock_that_jumped_is_taken_over(
    sqlite_database: Database, clock: FakeClock
) -> None:
    ran: list[int] = []
    _add(sqlite_database, "crl", clock.now() + timedelta(days=400))
    JobRunner(sqlite_database, (Job("crl", 60, lambda: ran.append(1)),), clock=clock).run_due()
    assert ran == [1]


def test_a_lease_is_not_looked_for_before_its_end(
    sqlite_database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    runner = JobRunner(sqlite_database, (Job("crl", 60, lambda: ran.append(1)),), clock=clock)
    runner.run_due()
    runner.run_due()
    with monkeypatch.context() as without:
        without.setattr(sqlite_database, "run", lambda *_: pytest.fail("it was looked for"))
        assert not runner._lease(Job("crl", 60, lambda: None))
    clock.advance(seconds=61)
    runner.run_due()
    assert ran == [1, 1]


def test_a_relative_sqlite_path_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_database("sqlite:///x.sqlite3")
    with database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    database.close()
    assert (tmp_path / "x.sqlite3").exists()
