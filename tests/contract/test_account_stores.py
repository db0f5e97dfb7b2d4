"""Second factors, passkeys, accounts, consents and outside identities, on every database."""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from authn.access import OPEN, AccessPolicy, AccessRule
from authn.accounts import AccountKind, Affiliation, Capacity
from authn.consents import Consent
from authn.factors_store import TOTPFactor
from authn.levels import Level
from authn.oidc.grant import Grant
from authn.oidc.sqlstore import SQLGrantStore
from authn.oidc.store import AccessToken, RefreshToken
from authn.passkeys import Passkey
from authn.people import Person, RealName
from authn.sqlaccounts import (
    SQLAccessStore,
    SQLAffiliationStore,
    SQLConsentStore,
    SQLPersonStore,
)
from authn.sqlfactors import (
    SQLAttemptStore,
    SQLFactorStore,
    SQLPasswordHistory,
    SQLSealedKeyStore,
)
from authn.sqlpasskeys import SQLPasskeyStore
from authn.sqlsessions import SQLSessionStore
from authn.sqlstore import SQLUserStore
from authn.store import Session, User
from authn.upstream.links import Link
from authn.upstream.sqlstore import SQLLinkStore
from core.errors import Conflict
from tests import databases


def new_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def person(shared, clock):
    """Make people; each is nobody else's."""

    def make() -> str:
        user_id = new_id()
        SQLUserStore(shared).add(
            User(user_id, user_id, "张伟", None, None, None, disabled=False, created_at=clock.now())
        )
        return user_id

    return make


# ---- second factors -----------------------------------------------------------------------------


def test_wrong_answers_at_once_cannot_exceed_the_limit(shared, clock, person, run_together):
    store, user, until = SQLAttemptStore(shared), person(), clock.now() + timedelta(minutes=15)

    def attempt() -> datetime | None:
        return store.charge(user, "recovery-code", clock.now(), limit=5, locked_until=until)

    answers = run_together([attempt] * 9)
    assert (answers.count(None), answers.count(until)) == (5, 4)
    assert store.charge(user, "totp", clock.now(), limit=5, locked_until=until) is None
    clock.advance(minutes=15)
    assert attempt() is None
    store.forgive(user, "recovery-code")
    until = clock.now() + timedelta(minutes=15)
    assert [attempt() for _ in range(6)] == [None] * 5 + [until]


def test_a_generator_is_confirmed_by_its_first_code_and_each_code_is_good_once(
    shared, clock, person, run_together
):
    store, user = SQLFactorStore(shared), person()
    factor = TOTPFactor(user, b"old", clock.now(), None, -1)
    store.offer_totp(factor)
    store.offer_totp(replace(factor, sealed=b"new"))
    assert store.find_totp(user) == replace(factor, sealed=b"new")
    assert not store.has_second_factor(user)
    step = 1 << 33
    used = run_together([lambda: store.use_totp(user, step, clock.now())] * 6)
    assert sum(used) == 1
    assert store.has_second_factor(user)
    confirmed_at = clock.now()
    clock.advance(seconds=30)
    assert not store.use_totp(user, step - 1, clock.now())
    assert store.use_totp(user, step + 1, clock.now())
    found = store.find_totp(user)
    assert (found.confirmed_at, found.last_step) == (confirmed_at, step + 1)
    with pytest.raises(Conflict):
        store.offer_totp(factor)
    assert store.remove_totp(user)
    assert not store.remove_totp(user)


def test_a_recovery_code_is_used_by_one_and_by_its_person(shared, clock, person, run_together):
    store, user, other = SQLFactorStore(shared), person(), person()
    digests = [secrets.token_bytes(32) for _ in range(3)]
    store.replace_recovery_codes(user, [secrets.token_bytes(32)])
    store.replace_recovery_codes(user, digests)
    assert store.count_recovery_codes(user) == 3
    assert not store.use_recovery_code(other, digests[0], clock.now())
    used = run_together([lambda: store.use_recovery_code(user, digests[0], clock.now())] * 6)
    assert sum(used) == 1
    assert store.count_recovery_codes(user) == 2
    store.replace_recovery_codes(user, [])
    assert store.count_recovery_codes(user) == 0


def test_a_key_that_two_nodes_make_at_once_is_one(shared, run_together):
    store = SQLSealedKeyStore(shared, "pairwise")
    assert store.find_sealed_key() is None
    kept = run_together([lambda n=n: store.keep_sealed_key(bytes([n])) for n in range(4)])
    assert set(kept) == {store.find_sealed_key()}


def test_earlier_passwords_are_the_newest_ones(shared, clock, person):
    store, user, other = SQLPasswordHistory(shared), person(), person()
    store.add(new_id(), other, "theirs", clock.now())
    for number in range(4):
        clock.advance(days=1)
        store.add(new_id(), user, f"phc{number}", clock.now())
    store.forget_older(user, 2)
    assert store.newest(user, 9) == ["phc3", "phc2"]
    assert store.last_set_at(user) == clock.now()
    assert store.newest(other, 9) == ["theirs"]


# ---- passkeys -----------------------------------------------------------------------------------


def test_a_counter_of_a_passkey_goes_on_for_one(shared, clock, person, run_together):
    store, user = SQLPasskeyStore(shared), person()
    credential = secrets.token_bytes(1023)  # WebAuthn, 4: the longest there is
    passkey = Passkey(
        new_id(), credential, user, "手机" * 32, b"cose", 1, synced=True, created_at=clock.now()
    )
    store.add(passkey)
    with pytest.raises(Conflict):
        store.add(replace(passkey, id=new_id()))
    assert store.find(credential) == passkey
    assert store.find(b"another") is None
    assert SQLFactorStore(shared).has_second_factor(user)
    most = (1 << 32) - 1  # WebAuthn, 6.1: four octets without a sign
    used = run_together([lambda: store.used(passkey, sign_count=most, now=clock.now())] * 6)
    assert sum(used) == 1
    (found,) = store.list_of_user(user)
    assert (found.sign_count, found.used_at) == (most, clock.now())
    assert not store.remove(passkey.id, person())
    assert store.remove(passkey.id, user)


# ---- accounts -----------------------------------------------------------------------------------


def test_an_affiliation_is_there_once_and_while_it_lasts(shared, clock, person, run_together):
    store, user, organisation = SQLAffiliationStore(shared), person(), uuid.uuid4().hex
    ends = clock.now() + timedelta(days=1)
    made = Affiliation(new_id(), user, organisation, Capacity.LEGAL_REPRESENTATIVE, clock.now())

    def add() -> bool:
        try:
            store.add(replace(made, id=new_id(), ends_at=ends))
        except Conflict:
            return False
        return True

    assert sum(run_together([add] * 4)) == 1
    staff = replace(made, capacity=Capacity.STAFF, created_at=clock.now() + timedelta(seconds=1))
    store.add(staff)
    assert store.find(staff.id) == staff
    assert len(store.list_of_user(user, clock.now())) == 2
    assert store.list_of_user(user, ends) == [staff]
    assert store.remove(staff.id)
    assert not store.remove(staff.id)


def test_an_identity_is_of_one_person(shared, clock, person, run_together):
    store, user, other, digest = SQLPersonStore(shared), person(), person(), secrets.token_hex(32)
    known = Person(user, RealName.VERIFIED, clock.now(), "t", "resident", digest, b"sealed")
    run_together([lambda: store.put(known)] * 4)
    assert store.find(user) == known
    with pytest.raises(Conflict):
        store.put(replace(known, user_id=other))
    assert store.find(other) is None
    store.put(replace(known, real_name_level=RealName.IN_PERSON))
    assert store.find(user).real_name_level is RealName.IN_PERSON


def test_who_may_enter_comes_back_as_it_went_in(shared, run_together):
    store, client = SQLAccessStore(shared), new_id()
    assert store.recall(client) is None
    assert store.find(client) == OPEN
    rules = (AccessRule("a" * 32), AccessRule("b" * 32, Capacity.AGENT))
    policy = AccessPolicy(
        Level.CERTIFICATE, AccountKind.LEGAL, RealName.STATED, rules, consent=True
    )
    run_together([lambda: store.put(client, policy)] * 4)
    assert store.find(client) == policy
    assert store.recall(client) in (policy, None)  # None: a while later
    store.put(client, OPEN)
    assert store.recall(client) is None
    assert store.find(client) == OPEN


@pytest.mark.postgres
def test_who_counts_what_changed_holds_nobody_up_before_the_commit(postgres_url):
    """Or two who write at once would wait for each other: one for the row, one for the count."""
    database = databases.on_postgres(postgres_url)
    store, first, second = SQLAccessStore(database), new_id(), new_id()
    done = threading.Event()

    def other() -> None:
        store.put(second, OPEN)
        done.set()

    with database.transaction():
        store.put(first, OPEN)
        thread = threading.Thread(target=other)
        thread.start()
        ended = done.wait(60)
    thread.join()
    assert ended
    assert (store.find(first), store.find(second)) == (OPEN, OPEN)
    database.close()


def test_a_consent_goes_with_every_token_that_it_gave(shared, clock, person, run_together):
    store, grants, user, other = SQLConsentStore(shared), SQLGrantStore(shared), person(), person()
    client, account = new_id(), new_id()
    consent = Consent(user, client, "", "openid profile", clock.now())
    run_together([lambda: store.put(consent)] * 4)
    store.put(replace(consent, account=account, scope="openid"))
    assert store.find(user, client, "") == consent
    assert [one.account for one in store.list_of_user(user)] == ["", account]
    soon = clock.now() + timedelta(hours=1)
    kept = []
    for owner, sid in ((user, new_id()), (user, None), (other, new_id())):
        if sid is not None:
            digest = secrets.token_bytes(32)
            now = clock.now()
            SQLSessionStore(shared).add(Session(digest, sid, owner, now, now, soon, "pwd", "acr"))
        grant = Grant(new_id(), client, owner, sid, "openid", clock.now(), "pwd", "acr")
        token = AccessToken(secrets.token_bytes(32), grant, soon, None)
        family = secrets.token_bytes(32)
        grants.add_token(token)
        renews = RefreshToken(family, grant, family, None, family, clock.now(), soon, None)
        shared.run_all(grants.to_add_refresh_token(renews))
        kept.append((owner, token.digest, family))
    assert store.holding(user) == store.holding(other) == {client}
    assert store.end_tokens(user, client) == 4
    assert (store.holding(user), store.holding(other)) == (set(), {client})
    for owner, token, family in kept:
        assert (grants.find_token(token) is None) == (owner == user)
        assert (grants.find_refresh_token(family) is None) == (owner == user)
    assert store.remove(user, client)
    assert not store.remove(user, client)


def test_an_outside_identity_is_somebodys_once(shared, clock, person, run_together):
    store, users, subject = SQLLinkStore(shared), [person() for _ in range(4)], new_id()

    def add(user: str) -> bool:
        try:
            store.add(Link("wecom", subject, user, clock.now()))
        except Conflict:
            return False
        return True

    assert sum(run_together([lambda user=user: add(user) for user in users])) == 1
    owner = store.find("wecom", subject).user_id
    with pytest.raises(Conflict):
        store.add(Link("wecom", new_id(), owner, clock.now()))
    assert [one.subject for one in store.list_of_user(owner)] == [subject]
    assert store.remove("wecom", owner)
    assert not store.remove("wecom", owner)
