"""The centre apart: what it answers is checked, and the names of the two sides stay apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from core.db import Database
from core.errors import Forbidden, Malformed, NotFound, Refused, Unavailable
from core.http import install_problem_handlers
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import Dialect
from keystore.envelope import decode_enveloped_key, encode_enveloped_key, envelop, open_envelope
from keystore.escrow import wire
from keystore.escrow.centre import Assigned
from keystore.escrow.envelopes import EnvelopeOrder
from keystore.escrow.identity import seal_password
from keystore.escrow.remote import RemoteCentre
from keystore.escrow.routes_authority import make_authority_router
from keystore.escrow.store import RecoveryKind, RecoveryState
from keystore.verify import key_algorithm
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.unit.keystore.test_escrow import AUTHORITY, HOLDER, World

REQUEST = "0" * 31 + "1"


class Wired:
    """`core.peer.Peer` without a network: it remembers what may be repeated."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.repeatable: dict[str, bool] = {}
        self.change: Callable[[Any], Any] = lambda answer: answer

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool) -> Any:
        self.repeatable[path] = repeatable
        answer = self.client.post(path, json=body)
        if answer.status_code >= 400:
            kinds = {400: Malformed, 404: NotFound, 403: Forbidden, 422: Refused}
            raise kinds.get(answer.status_code, Unavailable)(answer.json()["detail"])
        return self.change(answer.json() if answer.content else None)


class Apart:
    def __init__(self, world: World) -> None:
        self.world, self.refuse = world, False
        app = FastAPI()
        install_problem_handlers(app)

        def authority(request: Request) -> str:
            if self.refuse:
                raise Forbidden("not you")
            return "ca"

        app.router.routes.extend(
            make_authority_router(
                world.centre, world.recoveries, require_authority=authority
            ).routes
        )
        self.wired = Wired(TestClient(app))
        self.remote = RemoteCentre(self.wired)

    def assign(
        self, algorithm: KeyAlgorithm = KeyAlgorithm.SM2, signing_key: bytes = HOLDER.public_key
    ) -> Assigned:
        return self.remote.assign(
            REQUEST, algorithm=algorithm, signing_key=signing_key, actor="alice"
        )

    def recovery(self) -> str:
        given = self.assign()
        return self.remote.request(
            RecoveryKind.USER,
            fingerprint=hashlib.sha256(given.public_key).hexdigest(),
            recipient=HOLDER.public_key,
            reason="lost",
            actor="alice",
        ).id


@pytest.fixture
def apart(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> Apart:
    return Apart(World(sqlite_database, clock, audit))


def test_a_key_comes_over_the_wire_and_again_the_same(apart: Apart) -> None:
    given = [apart.assign() for _ in range(2)]
    keys = {open_envelope(decode_enveloped_key(g.enveloped), HOLDER.decrypt) for g in given}
    assert {key.public_key for key in keys} == {given[0].public_key} == {given[1].public_key}
    assert apart.wired.repeatable[wire.ASSIGN]
    assert {actor for action, actor, _ in apart.world.audit.events if "assigned" in action} == {
        "authority:alice"
    }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda a: a | {"public_key": wire.to_text(AUTHORITY.public_key)},
        lambda a: a | {"enveloped": wire.to_text(b"no envelope")},
        lambda a: a | {"enveloped": "***", "key_id": "0" * 32},
        lambda a: a | {"more": 1},
        lambda a: {},
        lambda a: None,
        lambda a: [a],
        lambda a: a | {"key_id": "../../etc/passwd"},
    ],
)
def test_an_answer_that_cannot_be_right_counts_as_no_answer(
    apart: Apart, spoil: Callable[[Any], Any]
) -> None:
    apart.wired.change = spoil
    with pytest.raises(Unavailable, match="key management centre"):
        apart.assign()


def order(dialect: Dialect, sealed_password: bytes | None = None) -> EnvelopeOrder:
    return EnvelopeOrder(dialect, HOLDER.public_key, (), sealed_password)


def test_an_rsa_key_comes_over_the_wire(apart: Apart) -> None:
    holder = memory_key(KeyAlgorithm.RSA_2048).key.public_key
    given = apart.assign(KeyAlgorithm.RSA_2048, holder)
    assert key_algorithm(given.public_key) is KeyAlgorithm.RSA_2048
    apart.wired.change = lambda a: a | {"public_key": wire.to_text(HOLDER.public_key)}
    with pytest.raises(Unavailable, match="cannot be right"):
        apart.assign(KeyAlgorithm.RSA_2048, holder)


def test_an_envelope_is_ordered_over_the_wire_and_a_file_not_twice(apart: Apart) -> None:
    apart.assign()
    cfca = apart.remote.envelop(REQUEST, order(Dialect.CFCA), actor="alice")
    assert cfca.startswith(b"0000000000000001")
    assert apart.wired.repeatable[wire.ENVELOP]
    identity = apart.remote.identity()
    assert identity == apart.world.centre.identity()
    sealed = seal_password(
        "a Password of 25 letters!", transport_key=identity.transport_key, request_id=REQUEST
    )
    with pytest.raises(Malformed, match="1 to 10 certificates"):
        apart.remote.envelop(REQUEST, order(Dialect.PKCS12, sealed), actor="alice")
    assert not apart.wired.repeatable[wire.ENVELOP]
    apart.wired.change = lambda _: {"certificate": "AAAA", "transport_key": "AAAA"}
    with pytest.raises(Unavailable, match="cannot be right"):
        apart.remote.identity()


def test_an_envelope_of_another_key_is_not_believed(apart: Apart) -> None:
    other = encode_enveloped_key(envelop(AUTHORITY, recipient=HOLDER.public_key))
    apart.wired.change = lambda answer: answer | {"enveloped": wire.to_text(other)}
    with pytest.raises(Unavailable, match="another key"):
        apart.assign()


def test_a_recovery_asked_there_is_approved_here_and_delivered_to_who_asked(apart: Apart) -> None:
    recovery_id = apart.recovery()
    assert apart.world.recoveries.get(recovery_id).requester == "authority:alice"
    for officer in ("alice", "bob"):  # the centre's own alice is another person
        apart.world.recoveries.approve(recovery_id, actor=officer)
    assert apart.remote.get(recovery_id).state is RecoveryState.APPROVED
    with pytest.raises(Forbidden):
        apart.remote.deliver(recovery_id, actor="carol")
    enveloped = apart.remote.deliver(recovery_id, actor="alice")
    assert open_envelope(decode_enveloped_key(enveloped), HOLDER.decrypt)
    assert not apart.wired.repeatable[wire.DELIVER]
    assert [(r.id, r.requester) for r in apart.remote.list_recoveries()] == [(recovery_id, "alice")]


def test_the_authority_sees_no_judicial_recovery_and_asks_for_none(apart: Apart) -> None:
    key = apart.world.assign()
    judicial = apart.world.ask(key)
    assert apart.remote.list_recoveries() == []
    shown = apart.remote.list_of_key(hashlib.sha256(key.public_key).hexdigest())
    assert [(one.kind, one.requester, one.reason) for one in shown] == [
        (RecoveryKind.JUDICIAL, "", "")
    ], "its holder sees that it happened"
    with pytest.raises(NotFound):
        apart.remote.get(judicial.id)
    with pytest.raises(Refused, match="at the key management centre itself"):
        apart.remote.request(
            RecoveryKind.JUDICIAL,
            fingerprint="0" * 64,
            recipient=HOLDER.public_key,
            reason="r",
            actor="a",
        )


def test_only_the_authority_is_answered(apart: Apart) -> None:
    apart.refuse = True
    for call in (
        apart.assign,
        lambda: apart.remote.retire(REQUEST),
        apart.remote.identity,
        lambda: apart.remote.envelop(REQUEST, order(Dialect.CFCA), actor="alice"),
        apart.remote.list_recoveries,
        lambda: apart.remote.get(REQUEST),
        lambda: apart.remote.deliver(REQUEST, actor="alice"),
    ):
        with pytest.raises(Forbidden, match="not you"):
            call()


def test_a_name_that_is_no_recovery_is_not_sent(apart: Apart) -> None:
    with pytest.raises(Malformed):
        apart.remote.get("../x")
    assert apart.wired.repeatable == {}


def test_retiring_may_be_repeated(apart: Apart) -> None:
    given = apart.assign()
    for _ in range(2):
        apart.remote.retire(REQUEST)
    assert apart.world.store.find_key(given.key_id).state == "history"
