"""What is done step by step in the event loop: on every database as if threads had done it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from types import SimpleNamespace

import pytest
import uvloop
from psycopg.pq import ConnStatus
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from authn.oidc.sqlstore import SQLGrantStore
from core.db import open_database
from core.errors import Malformed, Unavailable
from core.lines import Written
from core.pipe import Pipe
from core.steps import Carrier, apart, asked
from tests import databases
from tests.contract.test_authn_stores import new_family, new_token


def in_loop(act):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(act())


async def warm(database, clock) -> None:
    """On PostgreSQL, until a pipe is open: what is asked before goes to threads."""
    store, carrier = SQLGrantStore(database), Carrier(database)
    for number in range(3000):
        await carrier.carry(store.finding_refresh_token(b"nobody" + bytes([number % 256]) * 26))
        if not database.asks or database._asking.pipes._open:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("no pipe was opened within a minute")


def outcomes_of(*acts):
    return asyncio.gather(*acts, return_exceptions=True)


@pytest.fixture
def postgres_database(postgres_url):
    with closing(databases.on_postgres(postgres_url)) as opened:
        yield opened


def test_a_refresh_token_is_rotated_by_one_of_thirty(shared, clock):
    store, carrier = SQLGrantStore(shared), Carrier(shared)
    family = new_family(clock, digest=b"1" * 32)
    shared.run_all(store.to_add_refresh_token(family))

    def rotate(number: int):
        drawn = bytes([number]) * 32
        given = new_token(clock, drawn)
        return carrier.carry(
            store.rotating(family, given, current=drawn, step=b"y" * 32, now=clock.now())
        )

    async def act():
        await warm(shared, clock)
        return await asyncio.gather(*(rotate(number) for number in range(100, 130)))

    won = in_loop(act)
    assert sum(won) == 1
    winner = bytes([100 + won.index(True)]) * 32
    rotated = store.find_refresh_token(family.digest)
    assert (rotated.current, rotated.previous) == (winner, family.current)
    # Its access token is there, and none of those who came too late.
    there = [one for one in range(100, 130) if store.find_token(bytes([one]) * 32) is not None]
    assert there == [winner[0]]


def test_what_the_database_refuses_leaves_the_others_whole(shared, clock):
    store, carrier = SQLGrantStore(shared), Carrier(shared)
    store.add_token(new_token(clock, b"\x01" * 32))

    async def act():
        await warm(shared, clock)
        acts = [store.adding_token(new_token(clock, bytes([n]) * 32)) for n in (2, 1, 3, 1, 4)]
        first = await outcomes_of(*map(carrier.carry, acts))
        acts = [store.adding_token(new_token(clock, bytes([n]) * 32)) for n in (5, 6)]
        return first, await outcomes_of(*map(carrier.carry, acts))

    first, then = in_loop(act)
    assert [isinstance(one, IntegrityError) for one in first] == [False, True, False, True, False]
    assert "\\x0101" not in str(first[1])
    assert then == [None, None]
    assert all(store.find_token(bytes([n]) * 32) is not None for n in range(1, 7))


def test_a_value_that_no_database_holds_is_refused_before_it_is_sent(shared, clock):
    store, carrier = SQLGrantStore(shared), Carrier(shared)
    token = new_token(clock, b"\x11" * 32, sid="a\0b")
    other = new_token(clock, b"\x12" * 32)

    async def act():
        await warm(shared, clock)
        return await outcomes_of(
            carrier.carry(store.adding_token(token)), carrier.carry(store.adding_token(other))
        )

    refused, done = in_loop(act)
    assert isinstance(refused, Malformed)
    assert done is None
    assert store.find_token(other.digest) is not None


def test_an_act_hears_what_was_wrong_with_what_it_asked(shared, clock):
    store, carrier = SQLGrantStore(shared), Carrier(shared)

    def steps():
        try:
            yield from store.adding_token(new_token(clock, b"\x21" * 32, sid="a\0b"))
        except Malformed:
            yield from store.adding_token(new_token(clock, b"\x22" * 32))
            return "another"

    async def act():
        await warm(shared, clock)
        return await carrier.carry(steps())

    assert in_loop(act) == "another"
    assert store.find_token(b"\x22" * 32) is not None


@pytest.mark.postgres
def test_an_answer_that_cannot_be_read_harms_nobody_else(postgres_database, clock):
    database = postgres_database
    store, carrier = SQLGrantStore(database), Carrier(database)

    class Unreadable:
        table = None

        def asked(self, values):
            return Written(b"unreadable", b"SELECT 1"), []

        def read(self, done):
            raise ValueError(done)

    async def act():
        await warm(database, clock)
        return await outcomes_of(
            carrier.carry(asked([(Unreadable(), {})])),
            carrier.carry(store.adding_token(new_token(clock, b"\x01" * 32))),
        )

    unreadable, done = in_loop(act)
    assert isinstance(unreadable, ValueError)
    assert done is None


@pytest.mark.postgres
def test_who_does_not_take_an_answer_holds_up_nobody(postgres_database, clock, caplog):
    database = postgres_database
    store, carrier = SQLGrantStore(database), Carrier(database)

    def fail(_: object) -> None:
        raise RuntimeError("not taken")

    async def act():
        await warm(database, clock)
        carrier.begin(store.adding_token(new_token(clock, b"\x01" * 32)), fail)
        await carrier.carry(store.adding_token(new_token(clock, b"\x02" * 32)))

    in_loop(act)
    assert store.find_token(b"\x02" * 32) is not None
    assert "what a statement gave was not taken" in caplog.text


def test_what_is_asked_apart_may_wait_and_raise(shared, clock):
    carrier = Carrier(shared)

    def refuse() -> None:
        raise Unavailable("not now")

    def steps():
        try:
            yield from apart(refuse)
        except Unavailable:
            return (yield from apart(lambda: "afterwards"))

    async def act():
        return await carrier.carry(steps())

    assert in_loop(act) == "afterwards"


@pytest.mark.postgres
def test_a_lost_connection_is_said_to_all_who_wait_and_another_one_is_opened(
    postgres_database, clock
):
    database = postgres_database
    store, carrier = SQLGrantStore(database), Carrier(database)

    def end(process: int) -> None:
        with database.transaction() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:of)"), {"of": process})

    async def act():
        await warm(database, clock)
        (pipe,) = database._asking.pipes._open
        # It holds up what is asked behind it, so that they wait when the connection goes.
        slow = Written(b"slow", b"SELECT pg_sleep(60)")
        pipe.ask([(slow, [])], lambda _: None)
        waiting = [
            asyncio.ensure_future(
                carrier.carry(store.adding_token(new_token(clock, bytes([n]) * 32)))
            )
            for n in (1, 2)
        ]
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, end, pipe._pgconn.backend_pid)
        lost = await outcomes_of(*waiting)
        await warm(database, clock)
        await carrier.carry(store.adding_token(new_token(clock, b"\x03" * 32)))
        return lost

    lost = in_loop(act)
    assert [type(one) for one in lost] == [Unavailable, Unavailable]
    assert store.find_token(b"\x03" * 32) is not None
    assert store.find_token(b"\x01" * 32) is None


@pytest.mark.postgres
def test_whoever_waits_is_told_though_nothing_more_is_heard_of_the_connection(
    postgres_database, clock
):
    """Libuv stops to watch a connection that is reset, and tells nobody (POLLERR)."""
    database = postgres_database

    async def act():
        await warm(database, clock)
        (pipe,) = database._asking.pipes._open
        heard = asyncio.get_running_loop().create_future()
        pipe.ask([(Written(b"", b"SELECT pg_sleep(60)"), [])], heard.set_result)
        asyncio.get_running_loop().remove_reader(pipe._socket)
        with database.transaction() as connection:
            end = text("SELECT pg_terminate_backend(:of)")
            connection.execute(end, {"of": pipe._pgconn.backend_pid})
        told = await asyncio.wait_for(heard, 30)
        assert pipe.gone
        await warm(database, clock)
        return told

    assert isinstance(in_loop(act), OperationalError)


def test_a_connection_of_which_libpq_knows_no_question_any_more_is_lost():
    """It would say for ever that it is between two answers, and the event loop stood still."""
    ours, theirs = socket.socketpair()
    pgconn = SimpleNamespace(
        socket=ours.fileno(),
        status=int(ConnStatus.OK),
        enter_pipeline_mode=lambda: None,
        send_query_params=lambda *_: None,
        pipeline_sync=lambda: None,
        flush=lambda: 0,
        consume_input=lambda: None,
        is_busy=lambda: False,
        get_result=lambda: None,
    )
    line = SimpleNamespace(
        connection=SimpleNamespace(pgconn=pgconn, close=lambda: None), prepared=()
    )

    async def act():
        loop = asyncio.get_running_loop()
        pipe, heard = Pipe(line, loop, lambda _: None), loop.create_future()
        pipe.ask([(Written(b"", b"SELECT 1"), [])], heard.set_result)
        theirs.send(b"x")
        return await asyncio.wait_for(heard, 30)

    with ours, theirs:
        assert isinstance(in_loop(act), OperationalError)


@pytest.mark.postgres
def test_a_host_that_is_gone_without_a_word_is_noticed_by_either_side(postgres_database):
    """On a socket of Unix the settings are there and do nothing."""
    query = text("SELECT name, source FROM pg_settings WHERE name LIKE 'tcp_keepalives%'")
    with postgres_database.reading() as connection:
        sources = {row.name: row.source for row in connection.execute(query)}
        options = connection.connection.driver_connection.pgconn.info
    assert sources == dict.fromkeys(
        ("tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval"), "session"
    )
    said = {one.keyword: one.val for one in options}
    assert said[b"keepalives_idle"] == b"30"
    assert said[b"tcp_user_timeout"] == b"30000"


@pytest.mark.postgres
def test_what_the_address_of_the_database_says_of_it_counts(postgres_database):
    url = postgres_database.engine.url.update_query_dict({"keepalives_idle": "7"})
    address = url.render_as_string(hide_password=False)
    with closing(open_database(address)) as database, database.reading() as connection:
        options = connection.connection.driver_connection.pgconn.info
    said = {one.keyword: one.val for one in options}
    assert (said[b"keepalives_idle"], said[b"keepalives_interval"]) == (b"7", b"10")


@pytest.mark.postgres
def test_what_somebody_forgot_is_prepared_again(postgres_database, clock):
    database = postgres_database
    store, carrier = SQLGrantStore(database), Carrier(database)

    async def act():
        await warm(database, clock)
        await carrier.carry(store.adding_token(new_token(clock, b"\x01" * 32)))
        (pipe,) = database._asking.pipes._open
        pipe.ask([(Written(b"forget", b"DEALLOCATE ALL"), [])], lambda _: None)
        acts = [store.adding_token(new_token(clock, bytes([n]) * 32)) for n in range(2, 8)]
        await asyncio.gather(*map(carrier.carry, acts))
        acts = [store.adding_token(new_token(clock, bytes([n]) * 32)) for n in range(8, 11)]
        await asyncio.gather(*map(carrier.carry, acts))

    in_loop(act)
    assert all(store.find_token(bytes([n]) * 32) is not None for n in range(1, 11))
