"""Pushed requests, devices, registrations, signing keys, tickets, on every database."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from authn.legacy.sqlstore import SQLEntryStore
from authn.legacy.store import Ticket
from authn.oidc.device import DeviceCode, DeviceState
from authn.oidc.dynamicregistration import InitialToken
from authn.oidc.grant import Grant
from authn.oidc.keyrotation import SigningKey
from authn.oidc.pushed import PushedRequest
from authn.oidc.sqldevices import SQLDeviceCodeStore
from authn.oidc.sqlkeys import SQLSigningKeyStore
from authn.oidc.sqlregistrations import SQLRegistrationStore
from authn.oidc.sqlrequests import SQLPushedRequestStore, SQLReplayStore
from authn.oidc.store import IDTokenAlgorithm
from authn.sqlsessions import SQLSessionStore
from core.errors import Conflict
from keystore.keyref import KeyRef
from tests.contract.test_authn_stores import open_sessions


def digest() -> bytes:
    return secrets.token_bytes(32)


def test_a_pushed_request_is_used_by_one(shared, clock, run_together):
    store = SQLPushedRequestStore(shared)
    fields = (("scope", "openid"), ("state", "办"), ("resource", "a"), ("resource", "b"))
    request = PushedRequest(digest(), "oa", fields, signed=True, expires_at=clock.now())
    store.add_pushed(request)
    found = store.find_pushed(request.digest)
    assert (tuple(map(tuple, found.fields)), found.signed) == (fields, True)
    used = run_together([lambda: store.use_pushed(request.digest, clock.now())] * 8)
    assert sum(used) == 1
    assert store.find_pushed(request.digest).used_at == clock.now()


def test_what_is_good_once_is_remembered_by_one(shared, clock, run_together):
    store, one = SQLReplayStore(shared), digest()
    assert sum(run_together([lambda: store.remember(one, clock.now())] * 8)) == 1
    with shared.transaction():
        assert not store.remember(one, clock.now())
        assert store.remember(digest(), clock.now())  # the transaction is still good


def test_a_device_is_decided_and_redeemed_once(shared, clock, run_together):
    store, user_code = SQLDeviceCodeStore(shared), digest()
    waiting = Grant(str(uuid.uuid4()), "tv", None, None, "openid", None, "", "")
    ends = clock.now() + timedelta(minutes=10)
    code = DeviceCode(digest(), user_code, waiting, DeviceState.PENDING, None, ends)
    store.add_device(code)
    assert store.find_device(code.digest) == code
    clock.advance(seconds=5)
    store.poll_device(code.digest, clock.now())
    assert store.find_by_user_code(user_code).polled_at == clock.now()
    mine = replace(waiting, user_id="user", sid="sid", auth_time=clock.now(), acr="acr")
    allowed = replace(code, grant=mine, state=DeviceState.ALLOWED)
    denied = replace(code, state=DeviceState.DENIED)
    acts = [lambda one=one: store.decide_device(one) for one in [allowed, denied] * 3]
    decided = run_together(acts)
    assert sum(decided) == 1
    won = allowed if decided.index(True) % 2 == 0 else denied
    assert store.find_device(code.digest) == replace(won, polled_at=clock.now())
    assert (
        sum(
            run_together(
                [lambda: shared.run_all(store.to_remove_device(code.digest))[0].changed] * 6
            )
        )
        == 1
    )


def test_a_registration_is_paid_for_with_a_use_of_the_token(shared, clock, run_together):
    store, one, token_id = SQLRegistrationStore(shared), digest(), str(uuid.uuid4())
    token = InitialToken(one, token_id, "支付", 3, clock.now(), clock.now() + timedelta(days=1))
    store.add_initial(token)
    assert list(store.list_initial()) == [token]
    assert not store.use_initial(one, token.expires_at)
    assert sum(run_together([lambda: store.use_initial(one, clock.now())] * 8)) == 3
    assert store.remove_initial(token_id)
    assert not store.remove_initial(token_id)
    store.put_registration("oa", one)
    assert store.find_registration("oa") == one
    store.remove_registration("oa")
    assert store.find_registration("oa") is None


def test_a_signing_key_is_changed_by_who_has_seen_it_as_it_is(shared, clock, run_together):
    store = SQLSigningKeyStore(shared)
    now = clock.now()
    key = SigningKey(KeyRef("memory:object=oidc-1"), IDTokenAlgorithm.RS256, now, now)
    store.add(key)
    with pytest.raises(Conflict):
        store.add(key)
    ended = replace(key, signs_until=now + timedelta(days=1))
    assert sum(run_together([lambda: store.replace(key, ended)] * 6)) == 1
    assert not store.replace(key, ended)
    assert store.replace(ended, replace(ended, gone_at=now, destroyed_at=now))
    assert list(store.list_keys()) == [replace(ended, gone_at=now, destroyed_at=now)]


def test_a_ticket_is_taken_by_one(shared, clock, run_together):
    store = SQLEntryStore(shared)
    now = clock.now()
    ticket = Ticket(digest(), "oa", "https://oa.example.cn/", "u", "s", now, True, now)
    SQLSessionStore(shared).remove(["s"])
    open_sessions(shared, clock, "s")
    assert store.add_ticket(ticket)
    taken = run_together([lambda: store.take_ticket(ticket.digest)] * 6)
    assert [one for one in taken if one is not None] == [ticket]
