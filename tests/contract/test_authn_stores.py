"""What `authn.store` and `authn.oidc.store` promise, on every database."""

from __future__ import annotations

import secrets
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from authn.legacy.sqlstore import SQLEntryStore
from authn.legacy.store import Pass, Ticket
from authn.levels import SessionCertificate
from authn.logout.sqlstore import SQLParticipationStore
from authn.logout.store import Channel, Participation
from authn.oidc.clientmetadata import ClientMetadata, GrantType
from authn.oidc.device import DeviceCode, DeviceState
from authn.oidc.grant import Confirmation, Grant
from authn.oidc.sqlclients import SQLClientStore
from authn.oidc.sqldevices import SQLDeviceCodeStore
from authn.oidc.sqlstore import SQLGrantStore
from authn.oidc.store import (
    AccessToken,
    AuthMethod,
    AuthorizationCode,
    Client,
    IDTokenAlgorithm,
    RefreshToken,
)
from authn.purge import Purge
from authn.sqlsessions import SQLSessionStore
from authn.sqlstore import (
    SQLAddressStore,
    SQLAPITokenStore,
    SQLCertificateLoginStore,
    SQLUserStore,
)
from authn.store import APIToken, Binding, Challenge, Session, User
from core import remembered
from core.db import open_database
from core.errors import Conflict
from core.identity import Role
from core.steps import run


def new_user(clock, name="zhang.wei", **changes) -> User:
    values = {
        "id": str(uuid.uuid4()),
        "name": name,
        "display_name": "张伟",
        "email": None,
        "role": Role.AUDIT,
        "password_hash": None,
        "disabled": False,
        "created_at": clock.now(),
    }
    return User(**(values | changes))


@pytest.fixture
def user(database, clock) -> User:
    made = new_user(clock)
    SQLUserStore(database).add(made)
    return made


def new_session(user, clock, digest: bytes = b"s" * 32) -> Session:
    now = clock.now()
    return Session(
        digest, str(uuid.uuid4()), user.id, now, now, now + timedelta(hours=12), "pwd", "acr"
    )


def open_sessions(database, clock, *sids: str) -> None:
    """Codes are given by sessions that are open."""
    user = new_user(clock, f"holder-{secrets.token_hex(4)}")
    SQLUserStore(database).add(user)
    for sid in sids:
        session = replace(new_session(user, clock, secrets.token_bytes(32)), sid=sid)
        SQLSessionStore(database).add(session)


def new_grant(clock, *, sid: str | None = "sid", client: str = "oa-1") -> Grant:
    return Grant(
        id="grant",
        client_id=client,
        user_id="user",
        sid=sid,
        scope="openid",
        auth_time=clock.now(),
        amr="pwd",
        acr="acr",
        resources=("https://api.example.cn/",),
    )


def new_code(clock, digest: bytes = b"c" * 32, *, sid: str = "sid", client: str = "oa-1"):
    return AuthorizationCode(
        digest=digest,
        grant=new_grant(clock, sid=sid, client=client),
        redirect_uri="https://oa.example.cn/cb",
        nonce=None,
        code_challenge="x" * 43,
        expires_at=clock.now() + timedelta(seconds=60),
    )


def new_token(clock, digest: bytes = b"t" * 32, *, sid: str = "sid", client: str = "oa-1"):
    expires_at = clock.now() + timedelta(minutes=10)
    bound = Confirmation("x5t#S256", "abc")
    return AccessToken(digest, new_grant(clock, sid=sid, client=client), expires_at, bound)


def new_family(clock, digest: bytes = b"f" * 32, *, sid: str | None = "sid", client: str = "oa-1"):
    grant, ends = new_grant(clock, sid=sid, client=client), clock.now() + timedelta(days=1)
    return RefreshToken(digest, grant, b"1" * 32, None, b"z" * 32, clock.now(), ends)


def at_once(times: int, act) -> list[object]:
    """Call `act` in that many threads at the same moment; return what each call gave."""
    together, results = threading.Barrier(times), []

    def call() -> None:
        together.wait()
        results.append(act())

    threads = [threading.Thread(target=call) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_users_come_back_as_they_went_in(database, clock, user):
    store = SQLUserStore(database)
    assert store.find(user.id) == user
    assert store.find_by_name(user.name) == user
    assert store.find_by_name("nobody") is None
    nobody_special = new_user(clock, "aa", role=None)
    store.add(nobody_special)
    assert list(store.list_users()) == [nobody_special, user]
    assert list(store.list_users(limit=1)) == [nobody_special]
    assert list(store.list_users(after="aa")) == [user]
    assert list(store.list_users(text=user.name.upper())) == [user]
    assert list(store.list_users(text="%")) == []
    store.set_password(user.id, "phc")
    store.set_disabled(user.id, disabled=True)
    changed = store.find(user.id)
    assert changed is not None
    assert (changed.password_hash, changed.disabled) == ("phc", True)


def test_a_name_is_taken_once(database, clock, user):
    with pytest.raises(Conflict):
        SQLUserStore(database).add(new_user(clock))


def test_parallel_attempts_cannot_exceed_the_limit(database, clock, user):
    store = SQLUserStore(database)

    def attempt() -> bool:
        until = clock.now() + timedelta(minutes=15)
        return store.charge_attempt(user.id, clock.now(), limit=5, locked_until=until)

    assert sorted(at_once(12, attempt)) == [False] * 7 + [True] * 5
    clock.advance(minutes=15)
    assert attempt()
    store.forgive_attempts(user.id)
    assert [attempt() for _ in range(6)] == [True] * 5 + [False]


def test_a_setup_link_is_used_by_one(database, clock, user):
    store, digest = SQLUserStore(database), b"l" * 32
    store.put_setup_link(b"o" * 32, user.id, clock.now() + timedelta(hours=1))
    store.put_setup_link(digest, user.id, clock.now() + timedelta(hours=1))
    assert store.find_setup_link(b"o" * 32, clock.now()) is None
    assert store.find_setup_link(digest, clock.now()) == user.id
    assert sum(at_once(6, lambda: store.use_setup_link(digest, clock.now()))) == 1
    assert store.find_setup_link(digest, clock.now()) is None


def test_a_setup_link_does_not_outlive_its_time(database, clock, user):
    store = SQLUserStore(database)
    store.put_setup_link(b"l" * 32, user.id, clock.now())
    assert store.find_setup_link(b"l" * 32, clock.now()) is None
    assert not store.use_setup_link(b"l" * 32, clock.now())


def test_an_address_has_a_burst_and_then_a_rate(database, clock):
    store = SQLAddressStore(database)

    def charge() -> int:
        return store.charge("192.0.2.1", clock.now(), burst=3, seconds=10)

    assert [charge() for _ in range(4)] == [0, 0, 0, 10]
    clock.advance(seconds=9)
    assert charge() == 1
    clock.advance(seconds=1)
    assert charge() == 0
    store.refund("192.0.2.1", seconds=10)
    assert charge() == 0
    assert charge() > 0


def test_parallel_charges_of_a_new_address_are_all_counted(database, clock):
    store = SQLAddressStore(database)
    charges = at_once(8, lambda: store.charge("192.0.2.9", clock.now(), burst=5, seconds=10))
    assert sum(1 for wait in charges if wait == 0) == 5


def test_sessions_are_found_touched_and_removed_once(database, clock, user):
    store, session = SQLSessionStore(database), new_session(user, clock)
    store.add(session)
    assert store.find(session.digest) == session
    later = clock.now() + timedelta(minutes=5)
    store.touch(session.digest, later)
    touched = store.find(session.digest)
    assert touched is not None
    assert touched.seen_at == later
    assert [one.user for one in store.remove([session.sid])] == [user.name]
    assert not store.remove([session.sid])


def test_the_sessions_of_a_user_are_listed(database, clock, user):
    users, store = SQLUserStore(database), SQLSessionStore(database)
    other = new_user(clock, "li.na")
    users.add(other)
    mine = [new_session(user, clock, bytes([i]) * 32) for i in range(3)]
    for session in [*mine, new_session(other, clock)]:
        store.add(session)
    assert set(store.list_of_user(user.id)) == {session.sid for session in mine}


def test_a_session_is_ended_by_one_of_eight(database, clock, user):
    store, session = SQLSessionStore(database), new_session(user, clock)
    store.add(session)
    assert sum(at_once(8, lambda: len(store.remove([session.sid])))) == 1


def test_sessions_time_out_by_their_end_and_by_their_last_use(database, clock, user):
    store = SQLSessionStore(database)
    idle, used = (new_session(user, clock, bytes([i]) * 32) for i in range(2))
    for session in (idle, used):
        store.add(session)
    clock.advance(minutes=31)
    store.touch(used.digest, clock.now())
    since = clock.now() - timedelta(minutes=30)
    assert list(store.list_timed_out(clock.now(), since, limit=9)) == [idle.sid]
    clock.advance(hours=12)
    store.touch(used.digest, clock.now())
    since = clock.now() - timedelta(minutes=30)
    assert set(store.list_timed_out(clock.now(), since, limit=9)) == {idle.sid, used.sid}
    assert len(store.list_timed_out(clock.now(), since, limit=1)) == 1


def test_live_sessions_are_listed_page_by_page(database, clock, user):
    users, store = SQLUserStore(database), SQLSessionStore(database)
    other = new_user(clock, "li.na")
    users.add(other)
    found = [new_session(user, clock, bytes([i]) * 32) for i in range(3)]
    for session in [*found, new_session(other, clock)]:
        store.add(session)
    since = clock.now() - timedelta(minutes=30)

    def page(user_id, after, limit):
        return list(store.list_live(clock.now(), since, user_id=user_id, after=after, limit=limit))

    every = page(None, None, 9)
    assert len(every) == 4
    walked, after = [], None
    while one := page(None, after, 1):
        walked += one
        after = one[0].sid
    assert walked == every
    assert {one.sid for one in page(user.id, None, 9)} == {one.sid for one in found}
    clock.advance(hours=13)
    assert page(None, None, 9) == []


def test_sessions_are_found_by_the_application_that_was_entered(database, clock, user):
    store, entries = SQLSessionStore(database), SQLEntryStore(database)
    told = SQLParticipationStore(database)
    both, one, none = (new_session(user, clock, bytes([i]) * 32) for i in range(3))
    for session in (both, one, none):
        store.add(session)
    later = clock.now() + timedelta(hours=1)
    for number, session in enumerate((both, one)):
        entries.add_pass(Pass(bytes([number]) * 32, "gate", user.id, session.sid, later))
    told.take_part(Participation(both.sid, "oa", "", Channel.OIDC, "u", "https://oa.cn/", None))
    entered = store.applications_of([both.sid, one.sid, none.sid])
    assert {sid: list(ids) for sid, ids in entered.items()} == {
        both.sid: ["gate", "oa"],
        one.sid: ["gate"],
    }
    assert set(store.list_of_application("gate", limit=9)) == {both.sid, one.sid}
    since = clock.now() - timedelta(minutes=30)
    live = store.list_live(clock.now(), since, user_id=None, client_id="oa", after=None, limit=9)
    assert [found.sid for found in live] == [both.sid]


def test_sessions_are_found_by_the_certificate_they_stand_on(database, clock, user):
    store = SQLSessionStore(database)
    first, second, plain = (new_session(user, clock, bytes([i]) * 32) for i in range(3))
    for session in (first, second, plain):
        store.add(session)
    store.add_certificate(first.sid, SessionCertificate("sm2-issuing", "a1"))
    store.add_certificate(second.sid, SessionCertificate("sm2-issuing", "b2"))
    assert store.list_by_certificates("sm2-issuing", ["a1", "c3"], limit=9) == [first.sid]
    assert store.list_by_certificates("rsa-issuing", ["a1"], limit=9) == []
    every = store.list_by_certificates("sm2-issuing", None, limit=9)
    assert set(every) == {first.sid, second.sid}
    assert len(store.list_certificates()) == 2
    assert store.used_certificates("sm2-issuing", ["c3", "b2"]) == ["b2"]
    assert store.used_certificates("rsa-issuing", ["a1"]) == []
    store.remove([first.sid])
    assert store.list_certificates() == [SessionCertificate("sm2-issuing", "b2")]


def test_an_api_token_is_removed_by_its_own_user_only(database, clock, user):
    store = SQLAPITokenStore(database)
    token = APIToken("id-1", b"a" * 32, user.id, "ci", clock.now(), clock.now())
    store.add(token)
    assert store.recall_with_owner(b"a" * 32) is None
    assert store.find_with_owner(b"a" * 32) == (token, user)
    assert list(store.list_of_user(user.id)) == [token]
    assert not store.remove("id-1", "someone else")
    assert store.remove("id-1", user.id)
    assert store.find_with_owner(b"a" * 32) is None


def test_a_challenge_is_answered_once_by_its_browser_in_time(database, clock):
    store = SQLCertificateLoginStore(database)
    store.add_challenge(Challenge("n1", b"b" * 32, clock.now() + timedelta(minutes=5)))
    assert not store.use_challenge("n1", b"x" * 32, clock.now())
    assert not store.use_challenge("n1", b"b" * 32, clock.now() + timedelta(minutes=5))
    assert sum(at_once(6, lambda: store.use_challenge("n1", b"b" * 32, clock.now()))) == 1


def test_a_subject_is_bound_to_one_user(database, clock, user):
    store = SQLCertificateLoginStore(database)
    binding = Binding("b1", "sm2-issuing", b"d" * 32, user.id, clock.now(), b"k" * 32)
    store.add_binding(binding)
    with pytest.raises(Conflict):
        store.add_binding(Binding("b2", "sm2-issuing", b"d" * 32, user.id, clock.now(), None))
    assert store.find_binding("sm2-issuing", b"d" * 32) == binding
    assert store.find_binding("rsa-issuing", b"d" * 32) is None
    assert list(store.list_bindings()) == [binding]
    assert store.remove_binding("b1")
    assert not store.remove_binding("b1")


def test_what_another_node_changes_of_a_client_is_seen_here(database, clock, monkeypatch):
    here, reads = SQLClientStore(database), []
    monkeypatch.setattr(here._known, "_read", lambda key: reads.append(key) or here._read(key))
    with closing(open_database(database.engine.url.render_as_string(hide_password=False))) as other:
        there, changed = SQLClientStore(other), new_client(clock)
        there.add(changed)
        for name in ("办公", "公文", None):
            if name is None:
                there.remove("oa-1")
                changed = None
            else:
                changed = replace(changed, name=name)
                there.replace(changed)
            monkeypatch.setattr(remembered, "SECONDS", 0)  # a moment passes
            assert [here.find("oa-1"), here.find("oa-1")] == [changed, changed]
    # Read at each change, and each time while it is not there.
    assert reads == ["oa-1"] * 4


def new_client(clock):
    return Client(
        id="oa-1",
        name="办公",
        secret_digest=b"s" * 32,
        auth_method=AuthMethod.BASIC,
        redirect_uris=("https://oa.example.cn/cb", "https://oa.example.cn/cb2"),
        post_logout_redirect_uris=(),
        scopes=frozenset({"openid", "email"}),
        id_token_algorithm=IDTokenAlgorithm.RS256,
        created_at=clock.now(),
        metadata=ClientMetadata(
            grant_types=(GrantType.REFRESH_TOKEN,), resource="https://api.example.cn/"
        ),
    )


def test_clients_come_back_as_they_went_in(database, clock):
    store, client = SQLClientStore(database), new_client(clock)
    store.add(client)
    assert store.find("oa-1") == client
    assert store.find_resource("https://api.example.cn/") == client
    changed = replace(client, older_secret_digest=b"o" * 32, older_secret_until=clock.now())
    assert store.replace(changed)
    assert store.find("oa-1") == changed
    assert store.replace(client)
    assert not store.replace(replace(client, id="oa-2", metadata=ClientMetadata()))
    with pytest.raises(Conflict):
        store.add(replace(client, id="oa-2"))
    assert list(store.list_clients()) == [client]
    with pytest.raises(Conflict):
        store.add(client)
    assert store.remove("oa-1")
    assert store.find("oa-1") is None


def changed(database, statements) -> int:
    (ran,) = database.run_all(statements)
    return ran.changed


def test_a_code_is_used_by_one_of_twenty(database, clock):
    store, code = SQLGrantStore(database), new_code(clock)
    open_sessions(database, clock, "sid")
    assert store.add_code(code)
    assert store.find_code(code.digest) == code
    assert (
        sum(at_once(20, lambda: changed(database, store.to_use_code(code.digest, clock.now()))))
        == 1
    )
    used = store.find_code(code.digest)
    assert used is not None
    assert used.used_at == clock.now()


def test_codes_refresh_tokens_and_sessions_come_with_their_person(database, clock, user):
    store, sessions = SQLGrantStore(database), SQLSessionStore(database)
    nobodys, session = new_code(clock, b"d" * 32), new_session(user, clock)
    code = replace(new_code(clock), grant=replace(nobodys.grant, user_id=user.id))
    family = replace(new_family(clock), grant=code.grant)
    open_sessions(database, clock, "sid")
    for one in (code, nobodys):
        assert store.add_code(one)
    database.run_all(store.to_add_refresh_token(family))
    sessions.add(session)
    assert run(store.finding_code(code.digest), database) == (code, user)
    assert run(store.finding_code(nobodys.digest), database) == (nobodys, None)
    assert run(store.finding_code(b"x" * 32), database) is None
    assert run(store.finding_refresh_token(family.digest), database) == (family, user)
    assert run(store.finding_refresh_token(b"x" * 32), database) is None
    assert sessions.find_with_owner(session.digest) == (session, user)
    assert sessions.find_with_owner(b"x" * 32) is None


def test_a_refresh_token_is_rotated_by_one_of_twenty(database, clock):
    store, family = SQLGrantStore(database), new_family(clock)
    database.run_all(store.to_add_refresh_token(family))
    assert store.find_refresh_token(family.digest) == family
    names = iter(range(20))
    won: list[bytes] = []

    def rotate() -> bool:
        drawn = bytes([next(names)]) * 32
        token = new_token(clock, drawn)
        done = run(
            store.rotating(family, token, current=drawn, step=b"y" * 32, now=clock.now()), database
        )
        if done:
            won.append(drawn)
        return done

    assert sum(at_once(20, rotate)) == 1
    rotated = store.find_refresh_token(family.digest)
    assert (rotated.current, rotated.previous) == (won[0], b"1" * 32)
    # Its access token is there, and none of those who came too late.
    there = [one for one in range(20) if store.find_token(bytes([one]) * 32) is not None]
    assert there == [won[0][0]]
    store.remove_grant(family.grant.id)
    late = store.rotating(
        rotated, new_token(clock), current=b"z" * 32, step=b"y" * 32, now=clock.now()
    )
    assert not run(late, database)
    assert store.find_token(new_token(clock).digest) is None


def test_what_outlives_a_session_goes_with_its_user(database, clock):
    store = SQLGrantStore(database)
    database.run_all(store.to_add_refresh_token(new_family(clock, sid=None)))
    store.remove_sessions(["sid"])
    assert store.find_refresh_token(b"f" * 32) is not None
    store.remove_user("user")
    assert store.find_refresh_token(b"f" * 32) is None


def test_what_a_session_gives_is_not_given_when_it_has_ended(database, clock, user):
    store, sessions, devices = (
        SQLGrantStore(database), SQLSessionStore(database), SQLDeviceCodeStore(database)
    )  # fmt: skip
    session = new_session(user, clock)
    sessions.add(session)
    code, family = new_code(clock, sid=session.sid), new_family(clock, sid=session.sid)
    waiting = DeviceCode(
        b"d" * 32, b"e" * 32, new_grant(clock, sid=None), DeviceState.PENDING, None, clock.now()
    )
    allowed = replace(waiting, grant=code.grant, state=DeviceState.ALLOWED)
    devices.add_device(waiting)
    database.run_all(store.to_add_refresh_token(family))
    assert store.hold_session(session.sid)
    sessions.remove([session.sid])
    store.remove_sessions([session.sid])
    assert not store.hold_session(session.sid)
    assert not store.add_code(code)
    assert not run(store.adding_code(code), database)
    assert not run(store.adding_beside(family, new_token(clock, sid=session.sid)), database)
    assert not devices.decide_device(allowed)
    assert store.find_code(code.digest) is None
    assert store.find_token(new_token(clock).digest) is None
    assert devices.find_device(waiting.digest) == waiting
    ticket = Ticket(
        b"t" * 32, "oa", "https://oa/", "u", session.sid, clock.now(), True, clock.now()
    )
    assert not SQLEntryStore(database).add_ticket(ticket)


@pytest.mark.parametrize("ends_first", [True, False])
def test_a_code_waits_for_a_session_that_is_ending_and_the_end_for_a_code(
    database, clock, user, ends_first
):
    """Whoever comes second waits for the first, and no code is left either way."""
    store, sessions = SQLGrantStore(database), SQLSessionStore(database)
    session = new_session(user, clock)
    sessions.add(session)
    code = new_code(clock, sid=session.sid)

    def end() -> None:
        sessions.remove([session.sid])
        store.remove_sessions([session.sid])

    first, second = (end, lambda: store.add_code(code))[:: 1 if ends_first else -1]
    with ThreadPoolExecutor(1) as pool:
        with database.transaction():
            first()
            late = pool.submit(second)
            with pytest.raises(TimeoutError):
                late.result(timeout=0.2)
        assert not late.result(timeout=30)
    assert store.find_code(code.digest) is None


def test_the_tokens_of_a_grant_go_together(database, clock):
    store = SQLGrantStore(database)
    store.add_token(new_token(clock))
    store.add_token(new_token(clock, b"u" * 32))
    assert store.find_token(b"t" * 32) == new_token(clock)
    assert store.remove_grant("grant") == 2
    assert store.find_token(b"t" * 32) is None


@pytest.mark.parametrize("what", ["session", "client"])
def test_what_a_session_or_a_client_had_goes_with_it(database, clock, what):
    store = SQLGrantStore(database)
    gone = {"sid": "old"} if what == "session" else {"client": "old"}
    store.add_token(new_token(clock, **gone))
    store.add_token(new_token(clock, b"u" * 32))
    open_sessions(database, clock, "sid", "old")
    store.add_code(new_code(clock, **gone))
    store.add_code(new_code(clock, b"u" * 32, **gone))
    database.run_all(store.to_use_code(b"u" * 32, clock.now()))
    database.run_all(store.to_add_refresh_token(new_family(clock, **gone)))
    database.run_all(store.to_add_refresh_token(new_family(clock, b"g" * 32)))
    if what == "session":
        store.remove_sessions(["old", "other"])
    else:
        store.remove_client("old")
    assert store.find_refresh_token(b"f" * 32) is None
    assert store.find_refresh_token(b"g" * 32) is not None
    assert store.find_token(b"t" * 32) is None
    assert store.find_token(b"u" * 32) is not None
    assert store.find_code(b"c" * 32) is None
    assert store.find_code(b"u" * 32) is not None  # so that a second use is still recognised


def test_what_has_expired_is_removed_in_batches(database, clock, user):
    grants = SQLGrantStore(database)
    open_sessions(database, clock, "sid")
    for number in range(5):
        grants.add_code(new_code(clock, bytes([number]) * 32))
        clock.advance(microseconds=number)  # the first two are equally old
    clock.advance(hours=2)
    grants.add_code(new_code(clock))
    purge = Purge(database, clock=clock, batch=3)
    assert [purge.run(), purge.run()] == [5, 0]
    assert grants.find_code(b"c" * 32) is not None


def test_a_purge_that_is_told_to_stop_ends_after_its_batch(database, clock, user):
    grants = SQLGrantStore(database)
    open_sessions(database, clock, "sid")
    for number in range(5):
        grants.add_code(new_code(clock, bytes([number]) * 32))
        clock.advance(seconds=1)
    clock.advance(hours=2)
    purge = Purge(database, clock=clock, batch=2)
    purge.stop()
    assert purge.run() == 2
    assert Purge(database, clock=clock, batch=2).run() == 3


def test_challenges_that_strangers_asked_for_all_go_when_they_expire(database, clock):
    store = SQLCertificateLoginStore(database)
    for number in range(7):
        store.add_challenge(Challenge(f"n{number}", b"b" * 32, clock.now()))
    clock.advance(seconds=1)
    store.add_challenge(Challenge("young", b"b" * 32, clock.now() + timedelta(minutes=5)))
    assert Purge(database, clock=clock, batch=3).run() == 7
    assert store.use_challenge("young", b"b" * 32, clock.now())
