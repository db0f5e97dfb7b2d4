"""The table of refusals: an act, the status and kind of its answer, and the words that help.

One authority as `yinxin serve` puts it together, with its registration authorities' counter, in
this process. TLS and log-in are what a row says they are; everything behind them is real. What is
refused changes nothing: each row can be asked twice.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from sqlalchemy import event

from ca.registrars import Registrar
from ca.routes_exchange import make_counter_router
from core.http import CLIENT_CERTIFICATE, PROBLEM_JSON, client_certificate
from core.identity import Principal, Role
from core.peer import Peer, key_fingerprint
from keystore.algorithms import KeyAlgorithm
from keystore.escrow.remote import RemoteCentre
from tests import databases
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.ports import free_ports
from tests.unit.ca.csrs import make_csr, pem
from yinxin.app import make_api
from yinxin.app_parts import add_routes, new_app
from yinxin.first_start import ensure_administrators
from yinxin.organisations import ensure_rights
from yinxin.registrars import RegistrarDesk
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import Service, open_ground, open_service

SM2 = pem(make_csr()).decode()
BLOCKED = pem(make_csr(KeyAlgorithm.EC_P384)).decode()
_OCTETS = make_csr()
FORGED = pem(_OCTETS[:-1] + bytes((_OCTETS[-1] ^ 1,))).decode()
DEVICE = {"csr": SM2, "profile": "device", "issuer": "sm2-issuing"}
ROLES = {"system": Role.SYSTEM, "audit": Role.AUDIT, "k1": Role.KEY, "k2": Role.KEY}


class Door:
    """Who stands before the service: an administrator, or a host with its certificate."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.user: str | None = None
        self.certificate: bytes | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.user is not None:
            role = ROLES.get(self.user, Role.BUSINESS)
            scope["yinxin.principal"] = Principal(self.user, role, "token")
        scope[CLIENT_CERTIFICATE] = self.certificate
        await self.app(scope, receive, send)


@dataclass
class World:
    service: Service
    clock: FakeClock
    door: Door
    http: TestClient
    known: dict[str, str] = field(default_factory=dict)
    certificates: dict[str, bytes] = field(default_factory=dict)

    def ask(self, user: str | None, method: str, path: str, body: Any = None) -> Any:
        self.door.user = user
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.http.request(method, path, **content)

    def done(self, user: str, method: str, path: str, body: Any = None) -> Any:
        answer = self.ask(user, method, path, body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def enter(self, **changes: Any) -> Any:
        return self.done("wang", "POST", "/api/v1/requests", DEVICE | changes)

    def issue(self, **changes: Any) -> Any:
        entered = self.enter(**changes)
        return self.done("business", "POST", f"/api/v1/requests/{entered['id']}/approve")

    def certificate(self, issued: Any) -> str:
        reference = issued["certificate"]
        return f"/api/v1/certificates/{reference['issuer']}/{reference['serial']}"

    def counter(self, certificate: bytes | None) -> Any:
        """Bring an act to the counter, as a registration authority does."""
        self.door.user, self.door.certificate = None, certificate
        act = {"id": "0" * 32, "operation": "freeze", "entered_by": "a", "reviewed_by": "b",
               "issuer": "sm2-issuing", "serial": "01"}  # fmt: skip
        try:
            return self.http.post("/ra/v1/acts", json=act)
        finally:
            self.door.certificate = None

    def bulk(self, table: bytes) -> Any:
        path = f"/api/v1/bulk?profile=device&issuer=sm2-issuing&organisation={self.known['city']}"
        return self.ask("wang", "POST", path, table)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        engine = self.service.ground.database.engine
        limit = [0]

        def tell(connection: Any, _record: Any, _proxy: Any) -> None:
            connection.execute(f"PRAGMA max_page_count={limit[0] or 1 << 30}")

        event.listen(engine, "checkout", tell)
        try:
            with self.service.ground.database.reading() as connection:
                limit[0] = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            yield
        finally:
            limit[0] = 0
            with self.service.ground.database.reading():
                pass  # sets it back
            event.remove(engine, "checkout", tell)

    @contextmanager
    def centre_away(self) -> Iterator[None]:
        pairs, (port,) = self.service.key_management.pairs, free_ports(1)
        here = pairs._escrow
        peer = Peer(
            f"https://localhost:{port}", name="the key management centre",
            keys=frozenset({"0" * 64}), context=self.service.link.context, timeout_seconds=1,
        )  # fmt: skip
        pairs._escrow = RemoteCentre(peer)
        try:
            yield
        finally:
            pairs._escrow = here
            peer.close()


def _first_start(directory: Path, clock: FakeClock) -> Service:
    databases.lay_tables(directory)
    service = open_service(open_ground(load_settings(None), prepare_state(directory), clock=clock))
    ground = service.ground
    ensure_administrators(ground.administration)
    ensure_rights(ground.registration, ground.administration.users, ground.database,
                  organization="省数据局")  # fmt: skip
    for name in ("wang", "li"):
        ground.administration.users.create_user(
            name, display_name=name, role=Role.BUSINESS, actor="local:root"
        )
    return service


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YINXIN_CA__SEPARATE_APPROVER", "true")
        patch.setenv("YINXIN_CA__SEPARATE_STEPS", "true")
        clock = FakeClock()
        service = _first_start(tmp_path_factory.mktemp("refusals") / "var", clock)
    registrars = RegistrarDesk.assemble(service)
    app = new_app("Yinxin")

    def require_registrar(request: Request) -> Registrar:
        return registrars.require(client_certificate(request))

    counter = make_counter_router(
        registrars.counter, registrars.check, require_registrar=require_registrar
    )
    add_routes(app, *make_api(service, list), counter)
    door = Door(app)
    made = World(service, clock, door, TestClient(door))
    _populate(made, registrars)
    yield made
    service.close()


def _populate(world: World, registrars: RegistrarDesk) -> None:
    """Two cities; Wang enters in the first; two hosts of one registered key, one revoked."""
    root = world.done("business", "GET", "/api/v1/organisations")["items"][0]["id"]
    for name in ("city", "other"):
        place = {"parent": root, "level": "city", "name": {"city": "杭州市"}.get(name, "宁波市")}
        world.known[name] = world.done("business", "POST", "/api/v1/organisations", place)["id"]
    right = {
        "operator": "wang", "organisation": world.known["city"],
        "operations": ["apply", "query", "revoke", "renew", "make", "reissue"], "steps": ["entry"],
        "profiles": ["device", "device-dual-signing"],
    }  # fmt: skip
    world.done("business", "POST", "/api/v1/rights", right)
    keys = {"branch": KeyAlgorithm.EC_P256, "gone": KeyAlgorithm.EC_P256}
    for name, key in {**keys, "recipient": KeyAlgorithm.RSA_2048}.items():
        csr = pem(make_csr(key, subject=(("CN", name),))).decode()
        host = world.issue(csr=csr, issuer="rsa-issuing")
        reference = host["certificate"]
        record = world.service.authority.store.find_certificate(
            reference["issuer"], int(reference["serial"], 16)
        )
        assert record is not None
        assert record.der is not None
        world.certificates[name] = record.der
        world.known[name] = world.certificate(host)
    registrars.registrars.add(
        "branch", key=key_fingerprint(world.certificates["branch"]), url=None, actor="local:root",
        organisation=world.known["city"], profiles=[world.service.authority.profiles["device"]],
    )  # fmt: skip
    world.done("business", "POST", f"{world.known['gone']}/revoke", {"reason": "keyCompromise"})
    spki = hashlib.sha256(memory_key(KeyAlgorithm.EC_P384).key.public_key).hexdigest()
    blocked = {"spki_fingerprint": spki, "reason": "leaked"}
    world.done("business", "POST", "/api/v1/blocked-keys", blocked)


# ---- the acts -----------------------------------------------------------------------------------


def _expired(world: World) -> Any:
    codes = _offered(world)
    world.clock.advance(seconds=timedelta(days=8).total_seconds())
    return world.ask(None, "POST", "/api/v1/pickup", codes)


def _offered(world: World) -> Any:
    entered = world.enter(csr=None, subject=[{"type": "CN", "value": "x.example.test"}])
    path = f"/api/v1/requests/{entered['id']}/approve"
    codes = world.done("business", "POST", path)["codes"]
    return {"reference": codes["reference"], "code": codes["code"], "csr": SM2}


def _second_delivery(world: World) -> Any:
    issued = world.issue(profile="device-dual-signing")
    where = f"/api/v1/requests/{issued['id']}"
    body = {**issued["certificate"], "reason": "lost"}
    asked = world.done("wang", "POST", f"{where}/recovery", body)
    one = f"/api/v1/key-management/recoveries/{asked['id']}"
    for officer in ("k1", "k2"):
        world.done(officer, "POST", f"{one}/approve")
    world.done("wang", "POST", f"{one}/deliver")
    return world.ask("wang", "POST", f"{one}/deliver")


def _own_recovery(world: World) -> Any:
    issued = world.issue(profile="device-dual-signing")
    body = {**issued["certificate"], "reason": "lost"}
    asked = world.done("wang", "POST", f"/api/v1/requests/{issued['id']}/recovery", body)
    one = f"/api/v1/key-management/recoveries/{asked['id']}"
    world.done("k1", "POST", f"{one}/approve")
    return world.ask("k1", "POST", f"{one}/approve")


def _away(world: World) -> Any:
    entered = world.enter(profile="device-dual-signing")
    path = f"/api/v1/requests/{entered['id']}/approve"
    with world.centre_away():
        refused = world.ask("business", "POST", path)
        assert world.issue()["state"] == "issued", "one certificate needs no centre"
    assert world.done("business", "POST", path)["state"] == "issued", "and it goes on"
    return refused


def _full(world: World) -> Any:
    with world.full_disk():
        answers = [world.ask("wang", "POST", "/api/v1/requests", DEVICE) for _ in range(40)]
    assert world.issue()["state"] == "issued", "it goes on by itself"
    return answers[-1]


def _bad_rows(world: World) -> Any:
    batch = world.bulk(b"CN,ip\nfirst.example.test,\nsecond.example.test,here\n").json()
    world.service.bulk.worker.run()
    items = world.done("wang", "GET", f"/api/v1/bulk/{batch['id']}/items?state=bad")
    assert [item["row"] for item in items] == [3]
    assert items[0]["reason"] == "'here' is not an IP address"
    recipient = pem(world.certificates["recipient"], "CERTIFICATE").decode()
    return world.ask("wang", "POST", f"/api/v1/bulk/{batch['id']}/submit", {"recipient": recipient})


def _no_table(world: World) -> Any:
    return world.bulk(io.BytesIO(b"CN,colour\nx,red\n").read())


def enter(**changes: Any) -> Callable[[World], Any]:
    return lambda world: world.ask("wang", "POST", "/api/v1/requests", DEVICE | changes)


def step(user: str, name: str, body: Any = None) -> Callable[[World], Any]:
    """Take the next step of a new request as somebody."""
    return lambda world: world.ask(
        user, "POST", f"/api/v1/requests/{world.enter()['id']}/{name}", body
    )


def on(certificate: str, name: str, body: Any = None) -> Callable[[World], Any]:
    return lambda world: world.ask(
        "business", "POST", f"{world.known[certificate]}/{name}", body or {}
    )


def as_(user: str | None, method: str, path: str, body: Any = None) -> Callable[[World], Any]:
    return lambda world: world.ask(user, method, f"/api/v1{path}", body)


RESEND = "ask your registration office to send new codes"
ROWS: dict[str, tuple[Callable[[World], Any], int, str, str]] = {
    "nobody": (as_(None, "GET", "/requests"), 401, "unauthenticated",
        "authenticate with an administrator's token"),
    "wrong role": (as_("audit", "POST", "/requests", DEVICE), 403, "forbidden",
        "this needs the role business; audit has audit"),
    "the auditor changes nothing": (as_("audit", "POST", "/users", {}), 403, "forbidden",
        "this needs the role system"),
    "wrong branch": (lambda w: enter(organisation=w.known["other"])(w), 403, "forbidden",
        "wang lacks the right: apply, step entry"),
    "wrong profile": (enter(profile="smime"), 403, "forbidden", "profile smime"),
    "wrong step": (step("wang", "approve"), 403, "forbidden",
        "wang lacks the right: apply, step review"),
    "requester approves": (lambda w: w.ask("business", "POST",
        f"/api/v1/requests/{w.done('business', 'POST', '/api/v1/requests', DEVICE)['id']}/approve"),
        403, "forbidden", "requester and approver must be two people (ca.separate_approver)"),
    "one officer twice": (_own_recovery, 409, "conflict", "k1 has approved this recovery already"),
    "both steps for one operator": (lambda w: w.ask("business", "POST", "/api/v1/rights",
        {"operator": "wang", "organisation": w.known["city"], "operations": ["apply"],
         "steps": ["review"]}), 409, "conflict", "ca.separate_steps"),
    "expired code": (_expired, 403, "forbidden", RESEND),
    "wrong code": (lambda w: w.ask(None, "POST", "/api/v1/pickup",
        _offered(w) | {"code": "0000-0000-0000-0000"}), 403, "forbidden", RESEND),
    "second download": (_second_delivery, 409, "conflict", "the recovery is delivered"),
    "malformed CSR": (enter(csr="-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"), 400, "malformed",
        "PEM"),
    "forged CSR": (enter(csr=FORGED), 422, "invalid-signature",
        "does not verify under its own public key"),
    "blocked key": (enter(csr=BLOCKED, issuer="rsa-issuing"), 422, "refused", "blocked"),
    "unknown profile": (as_("business", "POST", "/requests", DEVICE | {"profile": "nothing"}),
        404, "not-found", "there is no profile nothing"),
    "unknown issuer": (enter(issuer="nobody"), 404, "not-found", "there is no issuer nobody"),
    "too long": (enter(validity_days=36_000), 422, "profile-violation", "allows 1 to 1095 days"),
    "unknown field": (enter(colour="red"), 400, "malformed", "colour"),
    "centre away": (_away, 503, "unavailable", "the key management centre cannot be reached"),
    "disk full": (_full, 503, "unavailable", "try again"),
    "revoked twice": (on("gone", "revoke", {"reason": "superseded"}), 409, "conflict", "revoked"),
    "renewed too early": (on("branch", "renew"), 422, "refused", "renew"),
    "revoked registrar": (lambda w: w.counter(w.certificates["gone"]), 422, "refused",
        "the certificate is revoked: keyCompromise"),
    "unknown registrar": (lambda w: w.counter(None), 403, "forbidden",
        "a registration authority shows its certificate"),
    "no table": (_no_table, 400, "malformed", "column 2 of the header, 'colour', is not one of"),
    "bad rows": (_bad_rows, 422, "refused",
        "1 rows of the batch are bad: correct the file and upload it again"),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_every_refusal_says_what_to_do(world: World, row: str) -> None:
    act, status, kind, words = ROWS[row]
    answer = act(world)
    assert answer.headers["content-type"] == PROBLEM_JSON, answer.text
    said = answer.json()
    assert (answer.status_code, said["type"]) == (status, f"urn:yinxin:problem:{kind}"), said
    assert words in said["detail"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_was_refused_left_nothing_behind(world: World) -> None:
    reserved = world.done("business", "GET", "/api/v1/certificates?state=reserved&limit=100")
    assert reserved["items"] == []
    assert world.service.ground.audit.verify(world.service.audit_key).fault is None
