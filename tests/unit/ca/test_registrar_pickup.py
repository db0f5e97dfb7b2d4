"""At a registration authority apart: certificates in the place of others, and pick-ups."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography import x509
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ca.acts import Act, Outcome, OutcomeState
from ca.config import PickupConfig
from ca.desk_bodies import ReplacementBody
from ca.desk_pickup import DeskPickup
from ca.desk_store import DeskState
from ca.exchange import bring
from ca.operations import Operation
from ca.pickup import PickupDesk
from ca.routes_desk import make_desk_router
from ca.routes_desk_pickup import make_desk_pickup_router
from ca.sqldesk import SQLDeskStore
from ca.sqlpickup import SQLPickupStore
from ca.store import CertificateState
from core.errors import Conflict, Unavailable
from core.http import install_problem_handlers
from keystore import pem as keypem
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import Dialect
from keystore.escrow.identity import seal_password
from tests.unit.ca.conftest import Authority
from tests.unit.ca.csrs import make_csr, pem
from tests.unit.ca.door import Asker
from tests.unit.ca.registration import Registration
from tests.unit.ca.test_csr import OTHER, public_key_bits, temporary_key
from tests.unit.ca.test_pickup import MemoryThrottle
from tests.unit.ca.test_registrars import Followed, Wire, World, apply, asked_branch, make_desk, on

SM2 = pem(
    make_csr(subject=(("CN", "what the CSR says"),), names=("dns:csr.example.test",))
).decode()
EC = pem(make_csr(KeyAlgorithm.EC_P256)).decode()
DOUBLE = pem(make_csr(attributes=temporary_key(public_key_bits(OTHER.public_key)))).decode()
EVERY = tuple(one for one in Dialect if one is not Dialect.ENVELOPED_DATA)
_S = CertificateState


@pytest.fixture
def world(authority: Authority, registration: Registration) -> World:
    dual = authority.profiles["device-dual-signing"]
    changed = dual.model_copy(update={"envelopes": EVERY})
    authority.profiles["device-dual-signing"] = changed
    return World(authority, registration)


# ---- the counter --------------------------------------------------------------------------------


def replacing(given: Outcome, operation: str, **changes: Any) -> Act:
    wanted: dict[str, Any] = {} if operation == "renew" else {"csr": EC}
    if operation == "reissue":
        wanted["reason"] = "keyCompromise"
    return on(given, operation, reviewed_by="li", **(wanted | changes))


def state_of(world: World, given: Outcome) -> CertificateState:
    found = world.authority.store.find_certificate("sm2-issuing", int(given.serial or "", 16))
    assert found is not None
    return found.state


@pytest.mark.parametrize(
    ("operation", "old"), [("renew", _S.ISSUED), ("rekey", _S.REVOKED), ("reissue", _S.REVOKED)]
)
def test_one_certificate_in_the_place_of_another_however_often_it_is_asked_for(
    world: World, operation: str, old: CertificateState
) -> None:
    given = world.perform(apply())
    record = world.authority.store.find_certificate("sm2-issuing", int(given.serial or "", 16))
    assert record is not None
    left = record.not_after - world.authority.clock.now()
    world.authority.clock.advance(seconds=left.total_seconds(), days=-1)
    act = replacing(given, operation)
    outcomes = [world.perform(act) for _ in range(3)]
    assert outcomes[0].state is OutcomeState.DONE, outcomes[0].detail
    assert outcomes[1:] == outcomes[:1] * 2
    assert state_of(world, given) is old
    new = world.authority.store.find_certificate("sm2-issuing", int(outcomes[0].serial or "", 16))
    assert new is not None
    assert (new.subject, new.organisation_id) == (record.subject, record.organisation_id)
    assert new.requester == "ra:branch:wang"
    assert (new.spki_fingerprint == record.spki_fingerprint) == (operation == "renew")
    again = world.perform(replacing(given, operation))
    assert again.state is OutcomeState.REFUSED, "a certificate is replaced once"
    other = world.perform(act.model_copy(update={"validity_days": 3}))
    assert "another request body" in (other.detail or "")


def test_what_replaces_is_asked_for_within_its_rules(world: World) -> None:
    given = world.perform(apply())
    assert "it can be renewed from" in (world.perform(replacing(given, "renew")).detail or "")
    same_key = replacing(given, "rekey", csr=pem(make_csr()).decode())
    assert "this is the old one" in (world.perform(same_key).detail or "")
    bad = replacing(given, "rekey", csr="-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n")
    assert world.perform(bad).state is OutcomeState.REFUSED
    other = world.add("other", "cd" * 32, world.registration.ningbo.id)
    refused = world.counter.perform(other, replacing(given, "rekey"))
    assert "ra:other lacks the right: rekey" in (refused.detail or "")
    world.authority.keystore.broken = True
    act = replacing(given, "rekey")
    assert world.perform(act).state is OutcomeState.WAITING
    assert state_of(world, given) is _S.ISSUED
    world.authority.keystore.broken = False
    assert world.perform(act).state is OutcomeState.DONE


def test_either_half_of_a_pair_stands_for_it(world: World) -> None:
    given = world.perform(apply(profile="device-dual-signing"))
    chain = (given.encryption_chain or "").encode()
    half = x509.load_pem_x509_certificates(chain)[0]
    other = given.model_copy(update={"serial": f"{half.serial_number:040x}"})
    assert world.perform(on(other, "freeze")).state is OutcomeState.DONE
    assert state_of(world, given) is _S.HELD


# ---- the desk -----------------------------------------------------------------------------------


class Branch:
    """The desk of one registration authority, its pick-ups, and the way to the authority."""

    def __init__(self, world: World) -> None:
        self.world, authority = world, world.authority
        common = {"transactions": authority.database, "audit": authority.audit}
        self.store = SQLDeskStore(authority.database)
        self.desk = make_desk(
            authority.database, authority.audit, authority.clock, profiles=authority.profiles
        )
        self.keys = DeskPickup(self.store, profiles=authority.profiles, **common)
        self.throttle = MemoryThrottle()
        self.pickup = PickupDesk(
            SQLPickupStore(authority.database),
            self.keys,
            throttle=self.throttle,
            config=PickupConfig(hours=24, failures_before_lock=3),
            accept_empty_sm2_id=False,
            clock=authority.clock,
            **common,
        )
        self.wire = Wire(
            {
                "/ra/v1/branch": lambda asked: asked_branch(world, asked),
                "/ra/v1/acts": self.perform,
            }
        )
        self.followed = Followed()
        app = FastAPI()
        install_problem_handlers(app)
        registration = world.registration
        app.router.routes.extend(
            make_desk_router(
                self.desk,
                registration.organisations,
                registration.rights,
                registration.changes,
                issuers=("sm2-issuing",),
                clock=authority.clock,
            ).routes
        )
        app.router.routes.extend(
            make_desk_pickup_router(self.desk, self.pickup, self.keys, registration.rights).routes
        )
        self.asker = Asker(app)
        self.client = TestClient(self.asker, base_url="http://testserver/api/v1")

    def perform(self, body: dict[str, Any]) -> dict[str, Any]:
        outcome = self.world.perform(Act.model_validate(body))
        return outcome.model_dump(mode="json", exclude_defaults=True)

    def carry(self) -> int:
        return bring(self.desk, self.wire, self.followed)

    def post(self, path: str, body: dict[str, Any] | None = None, status: int = 202) -> Any:
        answer = self.client.post(path, json=body or {})
        assert answer.status_code == status, answer.text
        return answer.json()

    def enter(self, profile: str = "device", **changes: Any) -> str:
        subject = [{"type": "CN", "value": "gateway.example.test"}]
        body = {"profile": profile, "issuer": "sm2-issuing", "subject": subject}
        place = {"organisation": self.world.registration.hangzhou.id}
        return str(self.post("/requests", body | place | changes)["id"])

    def offered(self, **changes: Any) -> tuple[str, dict[str, str]]:
        request_id = self.enter(**changes)
        return request_id, self.codes(self.post(f"/requests/{request_id}/approve", status=200))

    def codes(self, view: dict[str, Any]) -> dict[str, str]:
        assert view["state"] == "awaiting-pickup"
        return {name: view["codes"][name] for name in ("reference", "code")}

    def given(self, **changes: Any) -> dict[str, Any]:
        """Have a certificate, with a key that came with its request."""
        request_id = self.enter(csr=pem(make_csr()).decode(), **changes)
        self.post(f"/requests/{request_id}/approve", status=200)
        self.carry()
        return dict(self.client.get(f"/requests/{request_id}").json())


@pytest.fixture
def branch(world: World) -> Branch:
    return Branch(world)


def test_codes_and_a_key_give_the_certificate_that_was_entered_and_reviewed(branch: Branch) -> None:
    request_id, codes = branch.offered()
    assert branch.carry() == 0, "nothing is carried before there is a key"
    waiting = branch.post("/pickup", {**codes, "csr": SM2})
    assert (waiting["state"], waiting["certificate"]) == ("approved", None)
    assert branch.post("/pickup", {**codes, "csr": SM2}) == waiting
    assert branch.carry() == 1
    given = branch.post("/pickup", {**codes, "csr": SM2}, 200)
    assert given["state"] == "issued"
    certificate = x509.load_pem_x509_certificate(given["certificate"].encode())
    assert certificate.subject.rfc4514_string() == "CN=gateway.example.test"
    assert b"csr.example.test" not in keypem.decode(given["certificate"], "CERTIFICATE")
    assert branch.post("/pickup", {**codes, "csr": SM2}, 200) == given
    assert branch.world.issued() == 1
    view = branch.client.get(f"/requests/{request_id}").json()
    assert (view["state"], view["codes"]) == ("done", None)
    assert branch.throttle.charged == []
    written = repr(branch.world.authority.audit.events) + repr(branch.store.find(request_id))
    assert codes["code"] not in written
    assert codes["reference"] not in written


@pytest.mark.parametrize("breaks", [1, 2, 3])
def test_whatever_is_lost_on_the_way_a_pickup_gives_one_certificate(
    branch: Branch, breaks: int
) -> None:
    _, codes = branch.offered()
    branch.post("/pickup", {**codes, "csr": SM2})
    branch.wire.breaks = breaks
    for _ in range(breaks):
        with pytest.raises(Unavailable):
            branch.carry()
    assert branch.carry() == 1
    assert branch.post("/pickup", {**codes, "csr": SM2}, 200)["state"] == "issued"
    assert branch.world.issued() == 1


def test_wrong_used_locked_and_expired_codes_are_one_refusal(branch: Branch) -> None:
    request_id, codes = branch.offered()

    def refused(**changes: str) -> None:
        said = branch.post("/pickup", {**codes, "csr": SM2, **changes}, 403)
        assert "wrong, used, locked or expired: ask your registration office" in said["detail"]

    refused(reference="0000-0000-0000")
    for _ in range(3):
        refused(code="0000-0000-0000-0000")
    refused()
    assert branch.throttle.charged == ["testclient"] * 5
    codes = branch.codes(branch.post(f"/requests/{request_id}/pickup-resend", status=201))
    branch.world.authority.clock.advance(hours=24)
    refused()
    codes = branch.codes(branch.post(f"/requests/{request_id}/pickup-resend", status=201))
    branch.post("/pickup", {**codes, "csr": SM2})
    refused(csr=EC)
    branch.carry()
    refused(csr=EC)
    assert branch.world.issued() == 1
    said = branch.post(f"/requests/{request_id}/pickup-resend", status=409)
    assert "does not wait for a pick-up" in said["detail"]
    branch.throttle.full = True
    said = branch.post("/pickup", {**codes, "csr": SM2}, 429)
    assert "too many attempts" in said["detail"]


def test_what_would_be_refused_costs_no_code(branch: Branch) -> None:
    _, codes = branch.offered(profile="device-dual-signing")
    for status, words, body in (
        (400, "not valid DER", {"csr": "nonsense"}),
        (422, "takes keys of sm2", {"csr": EC}),
        (422, "not as cfca", {"csr": SM2, "format": "cfca"}),
        (422, "with a sealed password", {"csr": SM2, "format": "pkcs12"}),
    ):
        said = branch.post("/pickup", {**codes, **body}, status)
        assert words in said["detail"], said
    branch.post("/pickup", {**codes, "csr": SM2})


def test_a_rejected_request_is_not_picked_up(branch: Branch) -> None:
    request_id, codes = branch.offered()
    branch.post(f"/requests/{request_id}/reject", {"reason": "left the office"}, 200)
    assert "rejected" in branch.post("/pickup", {**codes, "csr": SM2}, 409)["detail"]
    assert branch.carry() == 0


def test_a_refusal_of_the_authority_is_told_to_the_subscriber(branch: Branch) -> None:
    _, codes = branch.offered(issuer="nobody")
    branch.post("/pickup", {**codes, "csr": SM2})
    branch.carry()
    said = branch.post("/pickup", {**codes, "csr": SM2}, 422)
    assert said["detail"] == "the certificate authority refused it: there is no issuer nobody"


def test_the_key_of_a_pair_comes_in_every_dialect_of_its_profile(branch: Branch) -> None:
    _, codes = branch.offered(profile="device-dual-signing")
    branch.post("/pickup", {**codes, "csr": SM2})
    branch.carry()
    given = branch.post("/pickup", {**codes, "csr": SM2}, 200)
    assert set(given["envelopes"]) == set(EVERY) - {Dialect.CFCA}
    seen = set()
    for dialect in given["envelopes"]:
        body = {**codes, "csr": SM2, "format": dialect}
        if dialect == Dialect.PKCS12:
            sealed = seal_password(
                "a Password of 25 letters!",
                transport_key=keypem.public_key_of_pem(given["transport_key"]),
                request_id=given["request"],
            )
            body["sealed_password"] = b64encode(sealed).decode()
        if dialect in (Dialect.PKCS12, Dialect.SIGNED_AND_ENVELOPED):
            assert branch.post("/pickup", body)["envelope"] is None
            branch.wire.breaks = 0
            assert branch.carry() == 1
        answer = branch.post("/pickup", body, 200)
        assert answer["certificate"] == given["certificate"]
        assert branch.post("/pickup", body, 200) == answer, "an answer may be lost"
        seen.add(b64decode(answer["envelope"]))
    assert len(seen) == len(given["envelopes"])
    view = branch.client.get("/requests").json()["items"][0]
    assert view["state"] == "done"
    assert not {"envelope", "wanted"} & set(view), "what is the subscriber's alone"


def test_a_file_that_is_given_once_is_not_given_twice(branch: Branch) -> None:
    _, codes = branch.offered(profile="device-dual-signing")
    branch.post("/pickup", {**codes, "csr": SM2})
    branch.carry()
    given = branch.post("/pickup", {**codes, "csr": SM2}, 200)

    def ask(format: str, sealed_for: str = "", status: int = 202) -> Any:  # noqa: A002
        body = {**codes, "csr": SM2, "format": format}
        if sealed_for:
            key = keypem.public_key_of_pem(given["transport_key"])
            password = "a Password of 25 letters!"
            sealed = seal_password(password, transport_key=key, request_id=sealed_for)
            body["sealed_password"] = b64encode(sealed).decode()
        return branch.post("/pickup", body, status)

    ask("pkcs12", "0" * 32)
    branch.carry()
    assert "password" in ask("pkcs12", "0" * 32, 409)["detail"], "sealed for another request"
    ask("pkcs12", given["request"])
    branch.carry()
    assert ask("pkcs12", given["request"], 200)["envelope"]
    ask("signed-and-enveloped")
    branch.carry()
    ask("signed-and-enveloped", status=200)
    ask("pkcs12", given["request"])
    branch.carry()
    assert "handed over" in ask("pkcs12", given["request"], 409)["detail"]
    assert branch.post("/pickup", {**codes, "csr": SM2}, 200) == given


def test_a_double_request_comes_to_its_temporary_key(branch: Branch) -> None:
    _, codes = branch.offered(profile="device-dual-signing")
    body = {**codes, "csr": DOUBLE, "format": "cfca"}
    branch.post("/pickup", body)
    branch.carry()
    given = branch.post("/pickup", body, 200)
    assert given["envelopes"] == ["cfca"]
    text = b64decode(given["envelope"])
    assert int(text[64:80]) == len(text[80:])
    said = branch.post("/pickup", {**codes, "csr": SM2}, 409)
    assert "another temporary key" in said["detail"]


def test_a_lost_medium_is_revoked_at_the_review_and_replaced_at_the_pickup(branch: Branch) -> None:
    given = branch.given()
    path = f"/certificates/sm2-issuing/{given['certificate']['serial']}"
    asked = branch.post(f"{path}/reissue", {"reason": "keyCompromise"})
    assert (asked["state"], asked["target"]) == ("pending", given["certificate"])
    codes = branch.codes(branch.post(f"/requests/{asked['id']}/approve", status=200))
    assert branch.carry() == 1
    store = branch.world.authority.store
    old = store.find_certificate("sm2-issuing", int(given["certificate"]["serial"], 16))
    assert (old.state, old.reason) == (_S.REVOKED, "keyCompromise")
    branch.post("/pickup", {**codes, "csr": EC})
    assert branch.carry() == 1
    new = branch.post("/pickup", {**codes, "csr": EC}, 200)
    assert x509.load_pem_x509_certificate(new["certificate"].encode()).subject.rfc4514_string()
    assert branch.world.issued() == 1
    items = branch.client.get("/requests").json()["items"]
    assert [item["operation"] for item in items] == ["revoke", "reissue", "apply"]


def test_who_lacks_the_right_enters_nothing(branch: Branch) -> None:
    given = branch.given()
    path = f"/certificates/sm2-issuing/{given['certificate']['serial']}"
    request_id, _ = branch.offered()
    branch.asker.name = "mallory"
    for what, body in (("renew", {}), ("rekey", {"csr": EC}), ("reissue", {})):
        said = branch.post(f"{path}/{what}", body, 403)
        assert f"mallory lacks the right: {what}, step entry, profile device" in said["detail"]
    said = branch.post(f"/requests/{request_id}/pickup-resend", status=403)
    assert "mallory lacks the right: pickup-resend" in said["detail"]


def test_an_idempotency_key_enters_one_replacement(branch: Branch) -> None:
    desk = branch.desk
    wanted = ReplacementBody(issuer="sm2-issuing", serial="0" * 40, csr=EC)
    how: dict[str, Any] = {"profile": None, "organisation": None, "actor": "wang", "key": "k"}
    first = desk.replace(Operation.REKEY, wanted, **how)
    assert desk.replace(Operation.REKEY, wanted, **how) == first
    with pytest.raises(Conflict, match="another request body"):
        desk.replace(Operation.RENEW, wanted.model_copy(update={"csr": None}), **how)


def test_acts_are_found_and_counted(branch: Branch) -> None:
    given = branch.given()
    serial = given["certificate"]["serial"]
    held = branch.post(f"/certificates/sm2-issuing/{serial}/hold")["id"]
    request_id = branch.enter()

    def found(query: str) -> list[str]:
        return [item["id"] for item in branch.client.get(f"/requests?{query}").json()["items"]]

    # What waits is found by what it asks for, and what is acted upon by what it is.
    assert found("subject=gateway") == [request_id, held, given["id"]]
    assert found("subject=%25") == []
    assert found(f"serial={serial.lstrip('0')}&operation=apply") == [given["id"]]
    assert found("state=pending") == [request_id]
    assert given["not_after"] is not None
    counted = branch.client.get("/statistics").json()
    place = branch.world.registration.hangzhou.id
    lines = {(c["operation"], c["profile"], c["state"]): c["count"] for c in counted["counts"]}
    assert lines == {
        ("apply", "device", "done"): 1,
        ("apply", "device", "pending"): 1,
        ("freeze", "device", "sent"): 1,
    }
    assert {count["organisation"] for count in counted["counts"]} == {place}
    table = branch.client.get("/statistics?format=csv&first=2026-11&last=2026-11").text
    assert table.splitlines()[0] == "organisation,operation,profile,state,count"
    assert len(table.splitlines()) == 4
    assert branch.desk.get(request_id).state is DeskState.PENDING
