"""A code used up with its row of the audit log, in the event loop: once, whole, or not at all."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import delete, insert, select, text

from authn.logout.sqlstore import SQLParticipationStore
from authn.logout.tables import participations
from authn.oidc.sqlstore import SQLGrantStore
from authn.sqlsessions import SQLSessionStore
from core.audit import Event
from core.audit_chain import GENESIS
from core.audit_sql import SQLAuditLog
from core.audit_tables import audit_events, audit_head
from core.errors import AuditUnavailable, Malformed, Unavailable
from core.lines import Written
from core.steps import Carrier
from tests.contract.test_authn_stores import new_code, new_token, open_sessions
from tests.contract.test_steps import in_loop, outcomes_of, warm


class Desk:
    """Uses codes up as `authn.oidc.codegrant` does, with an empty audit log to begin with."""

    def __init__(self, database, clock) -> None:
        self.database, self.clock = database, clock
        self.store, self.log = SQLGrantStore(database), SQLAuditLog(database, clock=clock)
        self.carrier = Carrier(database)
        with database.transaction() as connection:
            connection.execute(delete(audit_events))
            connection.execute(delete(audit_head))
            connection.execute(text("DELETE FROM oidc_codes"))
            connection.execute(text("DELETE FROM oidc_access_tokens"))
            connection.execute(delete(participations))
        self.log.initialise()
        SQLSessionStore(database).remove(["sid"])
        open_sessions(database, clock, "sid")

    def offer(self, number: int, *, subject: str | None = None) -> None:
        code = new_code(self.clock, bytes([number]) * 32)
        self.store.add_code(replace(code, subject=subject))

    def use(self, number: int, token=None, *, stands=lambda given: given[0].changed == 1):
        """Use the code of that number up; it gives the token of that number, or another one."""
        digest = bytes([number]) * 32
        given = token or new_token(self.clock, digest)
        first = [
            *self.store.to_use_code(digest, self.clock.now()),
            *self.store.to_add_token(given),
        ]
        event = Event("token.issued", "zhang", {"number": number})
        return self.carrier.carry(self.log.recording(event, first, stands))

    def taking_part(self) -> list[tuple]:
        with self.database.reading() as connection:
            rows = participations.c
            return [*connection.execute(select(rows.sid, rows.client_id, rows.subject))]

    def claim(self, number: int, token, *, client: str = "oa-1", logout_uris=(None, None)):
        """Find a code, look at it and use it up, as one transaction; gives what was found."""
        return self.carrier.carry(self.claiming(number, token, client, logout_uris))

    def claiming(self, number: int, token, client: str = "oa-1", logout_uris=(None, None)):
        digest, seen = bytes([number]) * 32, []

        def then(ran):
            seen[:] = [self.store.claimed(ran[0])]
            if seen[0] is None or seen[0][0].used_at is not None:
                return None
            rows = [
                *self.store.to_use_code(digest, self.clock.now()),
                *self.store.to_add_token(token),
            ]
            return Event("token.issued", "zhang", {"number": number}), rows

        def steps():
            claim = self.store.to_claim_code(digest, client, logout_uris)
            done = yield from self.log.following(claim, then)
            return done, seen[0]

        return steps()

    def run(self, act):
        async def warmed():
            await warm(self.database, self.clock)
            return await act()

        return in_loop(warmed)

    def used(self, number: int) -> bool:
        return self.store.find_code(bytes([number]) * 32).used_at is not None

    def gave(self, number: int) -> bool:
        return self.store.find_token(bytes([number]) * 32) is not None

    def require_chain(self, rows: int) -> None:
        verdict = self.log.verify(None)
        assert (verdict.fault, verdict.rows) == (None, rows)


@pytest.fixture
def desk(shared, clock) -> Desk:
    return Desk(shared, clock)


def test_a_code_is_used_by_one_of_thirty_and_written_down_once(desk):
    desk.offer(1)
    tokens = [new_token(desk.clock, bytes([number]) * 32) for number in range(100, 130)]
    won = desk.run(lambda: asyncio.gather(*(desk.use(1, token) for token in tokens)))
    assert sum(won) == 1
    assert [one for one in range(100, 130) if desk.gave(one)] == [100 + won.index(True)]
    desk.require_chain(1)


def test_a_code_is_claimed_by_one_of_thirty_and_the_others_see_it_used(desk):
    desk.offer(1)
    tokens = [new_token(desk.clock, bytes([number]) * 32) for number in range(100, 130)]
    outcomes = desk.run(lambda: asyncio.gather(*(desk.claim(1, token) for token in tokens)))
    won = [done for done, _ in outcomes]
    assert sum(won) == 1
    assert [one for one in range(100, 130) if desk.gave(one)] == [100 + won.index(True)]
    for done, (code, owner) in outcomes:
        assert (code.used_at is None) == done
        assert owner is None
    desk.require_chain(1)


def test_codes_claimed_in_one_transaction_are_each_judged_alone(desk):
    """Twelve good ones, each twice, beside one that is made up and one of another client."""
    for number in range(1, 15):
        desk.offer(number)
    tokens = {number: new_token(desk.clock, bytes([number]) * 32) for number in range(1, 15)}
    again = {number: new_token(desk.clock, bytes([100 + number]) * 32) for number in range(1, 13)}

    async def act():
        acts = [
            desk.claim(number, given[number])
            for number in range(1, 13)
            for given in (tokens, again)
        ]
        acts[3:3] = [
            desk.claim(77, new_token(desk.clock, b"\x77" * 32)),
            desk.claim(13, tokens[13], client="another"),
        ]
        return await asyncio.gather(*acts)

    outcomes = desk.run(act)
    made_up, of_another = outcomes.pop(3), outcomes.pop(3)
    assert (made_up, of_another) == ((False, None), (False, None))
    for number in range(1, 13):
        assert desk.used(number)
        assert desk.gave(number) + desk.gave(100 + number) == 1
    assert sum(done for done, _ in outcomes) == 12
    assert not desk.used(13)
    desk.require_chain(12)


def test_what_the_database_refuses_of_several_is_refused_to_one(desk):
    for number in range(1, 8):
        desk.offer(number)
    there = new_token(desk.clock, b"\x50" * 32)
    desk.store.add_token(there)

    async def act():
        acts = [desk.claim(n, new_token(desk.clock, bytes([n]) * 32)) for n in range(1, 7)]
        acts.insert(3, desk.claim(7, there))
        return await outcomes_of(*acts)

    outcomes = desk.run(act)
    assert type(outcomes.pop(3)) is AuditUnavailable
    assert all(done for done, _ in outcomes)
    assert all(desk.used(number) and desk.gave(number) for number in range(1, 7))
    assert not desk.used(7)
    desk.require_chain(6)


def test_whoever_does_not_take_what_was_given_holds_up_nobody(desk, caplog):
    """Neither beside others in one transaction, nor where theirs was undone."""
    for number in range(1, 8):
        desk.offer(number)
    tokens = {number: new_token(desk.clock, bytes([number]) * 32) for number in range(1, 10)}
    caplog.set_level("ERROR")

    def fall_over(_):
        raise RuntimeError("nobody is there any more")

    async def act():
        acts = [asyncio.ensure_future(desk.claim(number, tokens[number])) for number in (1, 2)]
        await asyncio.sleep(0)
        for number in (3, 9, 4):  # the second one is made up
            desk.carrier.begin(desk.claiming(number, tokens[number]), fall_over)
        acts += [asyncio.ensure_future(desk.claim(number, tokens[number])) for number in (5, 6)]
        async with asyncio.timeout(10):
            taken = await asyncio.gather(*acts)
            return [*taken, await desk.claim(7, tokens[7])]

    assert all(done for done, _ in desk.run(act))
    assert all(desk.used(number) and desk.gave(number) for number in range(1, 8))
    desk.require_chain(7)
    # What was given is in no line of the log, not as the context of an error either.
    assert "nobody is there any more" in caplog.text
    assert "AuthorizationCode" not in caplog.text


@pytest.mark.postgres
def test_several_do_not_wait_for_a_code_that_who_ends_sessions_has_locked(desk):
    """Who ends several locks their codes in no certain order: each would wait for the other."""
    if not desk.database.asks:
        return
    for number in (1, 2, 3):
        desk.offer(number)
    locked = threading.Event()

    def end_sessions() -> None:
        with desk.database.transaction() as connection:
            lock = text("SELECT used_at FROM oidc_codes WHERE digest = :of FOR UPDATE")
            connection.execute(lock, {"of": b"\x03" * 32})
            locked.set()
            time.sleep(0.3)
            connection.execute(lock, {"of": b"\x02" * 32})
            desk.log.record("session.ended", actor="zhang", detail={})

    async def act():
        ending = asyncio.get_running_loop().run_in_executor(None, end_sessions)
        await asyncio.to_thread(locked.wait)
        acts = [desk.claim(n, new_token(desk.clock, bytes([n]) * 32)) for n in (1, 2, 3)]
        acts = [asyncio.ensure_future(one) for one in acts]
        await asyncio.gather(*acts[:2])
        assert not ending.done()
        await ending
        return [done for done, _ in await asyncio.gather(*acts)]

    assert desk.run(act) == [True] * 3
    desk.require_chain(4)


@pytest.mark.postgres
def test_several_are_not_tried_again_when_their_connection_is_lost(desk):
    """They may be committed: a second try would find the codes used, and end their grants."""
    if not desk.database.asks:
        return
    for number in range(1, 6):
        desk.offer(number)
    pipes = desk.database._asking.pipes

    def end(pid: int) -> None:
        with desk.database.transaction() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:of)"), {"of": pid})

    async def another() -> None:
        while len(pipes._open) < 1:
            pipes._open_another()
            await asyncio.sleep(0.01)

    async def act():
        tokens = [new_token(desk.clock, bytes([number]) * 32) for number in range(1, 6)]
        with desk.database.transaction() as connection:
            connection.execute(audit_head.select().with_for_update())
            acts = [asyncio.ensure_future(desk.claim(n, tokens[n - 1])) for n in range(1, 6)]
            await asyncio.sleep(0)
            (alone,) = pipes._taken
            await another()
            await asyncio.to_thread(end, alone._pgconn.backend_pid)
            await asyncio.wait(acts[:1])
            (together,) = pipes._taken
            await another()
            await asyncio.to_thread(end, together._pgconn.backend_pid)
            await asyncio.sleep(0.05)
        return await outcomes_of(*acts)

    assert [type(one) for one in desk.run(act)] == [AuditUnavailable] * 5
    assert not any(desk.used(number) or desk.gave(number) for number in range(1, 6))
    desk.require_chain(0)


def test_who_claims_what_is_not_theirs_does_not_lock_the_audit_log(desk):
    desk.offer(1)
    desk.offer(2)
    token = new_token(desk.clock, b"\x77" * 32)
    locked = []

    def look(number: int, client: str):
        *_, head = desk.database.run_all(desk.store.to_claim_code(bytes([number]) * 32, client))
        locked.append(head.first() is not None)

    assert desk.run(lambda: desk.claim(2, token))[0]
    for number, client in ((1, "oa-1"), (1, "another"), (2, "oa-1"), (3, "oa-1")):
        look(number, client)
    assert locked == [True, False, False, False]
    assert desk.run(lambda: desk.claim(1, token, client="another")) == (False, None)
    assert not desk.used(1)
    desk.require_chain(1)


def test_who_claims_a_code_takes_part_in_its_session_if_it_stands(desk):
    uris = ("https://oa.example.cn/out", None)
    token = new_token(desk.clock, b"\x77" * 32)
    desk.offer(1, subject="who")
    desk.offer(2)
    for number, client in ((1, "another"), (2, "oa-1"), (3, "oa-1")):
        desk.run(partial(desk.claim, number, token, client=client, logout_uris=uris))
        assert desk.taking_part() == [], "not theirs, without a subject, no such code"
        token = new_token(desk.clock, bytes([number]) * 32)
    for done in (True, False):
        assert desk.run(partial(desk.claim, 1, token, logout_uris=uris))[0] == done
        assert desk.taking_part() == [("sid", "oa-1", "who")]


def test_who_takes_part_waits_for_an_end_of_the_session_that_waits_for_the_log(desk):
    """The code was given after the end had looked for codes: the log is not locked meanwhile."""
    uris, closed = ("https://oa.example.cn/out", None), threading.Event()
    tokens = [new_token(desk.clock, bytes([number]) * 32) for number in (1, 2)]
    for number in (1, 2):
        desk.offer(number, subject="who")
    desk.run(lambda: desk.claim(1, tokens[0], logout_uris=uris))

    def log_out() -> None:
        with desk.database.transaction():
            SQLParticipationStore(desk.database).close(["sid"], desk.clock.now())
            closed.set()
            time.sleep(0.3)
            desk.log.record("session.ended", actor="zhang", detail={})

    async def act():
        ending = asyncio.get_running_loop().run_in_executor(None, log_out)
        await asyncio.to_thread(closed.wait)
        done, _ = await desk.claim(2, tokens[1], logout_uris=uris)
        await ending
        return done

    assert desk.run(act)
    assert desk.taking_part() == [("sid", "oa-1", "who")]
    desk.require_chain(3)


def test_the_event_loop_and_threads_write_one_chain(desk):
    """Thirty at once are more than wait in the event loop: the others go to threads."""
    for number in range(30):
        desk.offer(number)

    def beside(number: int) -> None:
        desk.log.record("thing.done", actor="li", detail={"number": number})

    async def act():
        loop = asyncio.get_running_loop()
        threads = [loop.run_in_executor(None, beside, number) for number in range(20)]
        won = await asyncio.gather(*map(desk.use, range(30)))
        await asyncio.gather(*threads)
        return won

    assert all(desk.run(act))
    assert all(desk.gave(number) and desk.used(number) for number in range(30))
    desk.require_chain(50)


def test_what_cannot_be_written_down_is_not_done(desk):
    desk.offer(1)
    with desk.database.transaction() as connection:
        connection.execute(delete(audit_head))
    (headless,) = desk.run(lambda: outcomes_of(desk.use(1)))
    with desk.database.transaction() as connection:
        connection.execute(insert(audit_head).values(id=1, sequence=0, hash=GENESIS))
        # The row that comes next is there: as if somebody had written past the lock.
        row = {"sequence": 1, "at": desk.clock.now(), "action": "a", "actor": "b", "detail": "{}"}
        connection.execute(insert(audit_events).values(**row, previous=GENESIS, hash=GENESIS))
    (taken,) = desk.run(lambda: outcomes_of(desk.use(1)))
    assert [type(headless), type(taken)] == [AuditUnavailable, AuditUnavailable]
    assert (desk.used(1), desk.gave(1)) == (False, False)
    with desk.database.transaction() as connection:
        connection.execute(delete(audit_events))
    assert desk.run(lambda: desk.use(1)), "nothing is locked any more"
    desk.require_chain(1)


def test_what_goes_wrong_undoes_all_and_holds_up_nobody(desk):
    for number in range(1, 6):
        desk.offer(number)

    def fail(_given):
        raise Unavailable("not now")

    twice = new_token(desk.clock, b"\x13" * 32)
    desk.store.add_token(twice)
    nul = new_token(desk.clock, b"\x03" * 32, sid="a\0b")
    acts = lambda: outcomes_of(  # noqa: E731
        desk.use(1),
        desk.use(2, twice),  # the token is there already
        desk.use(3, nul),
        desk.use(4, stands=fail),
        desk.use(4, replace(twice, digest=b"\x14" * 32), stands=lambda _: False),
        desk.use(5),
    )
    first, taken, unstorable, failed, undone, last = desk.run(acts)
    assert (first, undone, last) == (True, False, True)
    assert [type(one) for one in (taken, unstorable, failed)] == [
        AuditUnavailable,
        Malformed,
        AuditUnavailable,
    ]
    assert "\\x1313" not in str(taken.__cause__)
    assert [number for number in range(1, 6) if desk.used(number)] == [1, 5]
    assert not desk.gave(0x14)
    desk.require_chain(2)


def test_no_transaction_begins_within_another_one(desk):
    desk.offer(1)
    with pytest.raises(RuntimeError), desk.database.transaction():
        desk.database.run_together(next(desk.log.recording(Event("a", "b", {}), [], bool)))


@pytest.mark.postgres
def test_a_connection_lost_within_a_transaction_is_said_and_another_one_taken(desk):
    if not desk.database.asks:
        return
    for number in range(4):
        desk.offer(number)
    pipes, given = desk.database._asking.pipes, []

    def end(pids: list[int]) -> None:
        with desk.database.transaction() as connection:
            for pid in pids:
                connection.execute(text("SELECT pg_terminate_backend(:of)"), {"of": pid})

    async def act():
        loop = asyncio.get_running_loop()
        while len(pipes._open) < 2:  # both that are taken
            pipes._open_another()
            await asyncio.sleep(0.01)
        with desk.database.transaction() as connection:
            connection.execute(audit_head.select().with_for_update())
            acts = [asyncio.ensure_future(desk.use(number)) for number in range(3)]
            await asyncio.sleep(0)
            assert len(pipes._taken) == 1
            # Those of now: when the first is lost, the list changes.
            taken = [pipe._pgconn.backend_pid for pipe in pipes._taken]
            await loop.run_in_executor(None, end, taken)
        # The third one may have a pipe by now, and waits for what was locked here.
        given.extend(await outcomes_of(*acts))
        await warm(desk.database, desk.clock)
        return await desk.use(3)

    assert desk.run(act)
    assert [type(one) for one in given[:1]] == [AuditUnavailable]
    assert not any(desk.used(number) or desk.gave(number) for number in range(1))
    assert desk.database._asking._turns._taken == 0


@pytest.mark.postgres
def test_who_stops_within_a_transaction_holds_the_log_no_longer_than_a_minute(desk):
    """Here a tenth of a second: a process that stands still, with the head of the log locked."""
    if not desk.database.asks:
        return
    beside, waited = [], []
    for number in (1, 2, 3):
        desk.offer(number)

    def record() -> None:
        desk.log.record("thing.done", actor="li", detail={})
        beside.append(time.monotonic())

    def stand_still(_given) -> bool:
        began, other = time.monotonic(), threading.Thread(target=record)
        other.start()
        other.join(10)
        waited.append(time.monotonic() - began)
        return True

    def stand_still_in_a_thread() -> None:
        with desk.database.transaction() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '100ms'"))
            desk.database.run_all(desk.store.to_use_code(bytes([3]) * 32, desk.clock.now()))
            desk.log.record("token.issued", actor="li", detail={})
            stand_still(())

    async def act():
        pipes = tuple(desk.database._asking.pipes._open)
        kept = [asyncio.get_running_loop().create_future() for _ in pipes]
        soon = Written(b"", b"SET idle_in_transaction_session_timeout = '100ms'")
        for pipe, end in zip(pipes, kept, strict=True):
            pipe.ask(
                [(Written(b"", b"SHOW idle_in_transaction_session_timeout"), []), (soon, [])],
                end.set_result,
            )
        shown = await asyncio.gather(*kept)
        lost = await outcomes_of(desk.use(1, stands=stand_still))
        await warm(desk.database, desk.clock)
        lost += await outcomes_of(asyncio.to_thread(stand_still_in_a_thread))
        return [one[0].rows for one in shown], lost, await desk.use(2)

    shown, lost, done = desk.run(act)
    assert shown == [[("1min",)]] * len(shown)
    assert [isinstance(one, Unavailable) for one in lost] == [True, True], lost
    assert len(beside) == 2, "the others went on"
    assert max(waited) < 5
    assert done
    assert [number for number in (1, 2, 3) if desk.used(number) or desk.gave(number)] == [2]
    desk.require_chain(3)


@pytest.mark.postgres
def test_a_pipe_knows_what_its_connection_was_used_for_before(desk):
    """It comes out of the pool, where statements were prepared on it already."""
    if not desk.database.asks:
        return
    with desk.database.transaction():
        desk.database.run_all(desk.store.to_use_code(b"x" * 32, desk.clock.now()))
    desk.offer(1)
    assert desk.run(lambda: desk.use(1))


@pytest.mark.postgres
def test_what_somebody_forgot_is_prepared_again_after_a_refusal_or_two(desk):
    if not desk.database.asks:
        return
    for number in (1, 2):
        desk.offer(number)

    async def act():
        await desk.use(1)
        pipes = tuple(desk.database._asking.pipes._open)
        done = [asyncio.get_running_loop().create_future() for _ in pipes]
        for pipe, end in zip(pipes, done, strict=True):
            pipe.ask([(Written(b"", b"DEALLOCATE ALL"), [])], end.set_result)
        await asyncio.gather(*done)
        tries = [await outcomes_of(desk.use(2)) for _ in range(2 * len(pipes) + 1)]
        return [one for (one,) in tries if one is not True]

    refused = desk.run(act)
    assert refused[0].__class__ is AuditUnavailable
    assert desk.used(2)
    assert desk.gave(2)
