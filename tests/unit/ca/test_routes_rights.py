"""Rights at the door: every act and every list, from another branch."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from ca.operations import Operation
from ca.rights_store import Grant, Step
from core.identity import Role
from tests.unit.ca.door import BODY, Asker, issued
from tests.unit.ca.registration import Registration


@pytest.fixture
def wang(registration: Registration, asker: Asker) -> Asker:
    """Wang may enter and query in 杭州市; the client asks as Wang."""
    registration.rights.grant(
        "wang",
        registration.hangzhou.id,
        Grant(None, frozenset({Operation.APPLY, Operation.QUERY}), frozenset({Step.ENTRY})),
        actor="alice",
    )
    asker.name = "wang"
    return asker


def test_a_request_belongs_to_its_branch_and_so_does_its_certificate(
    client: TestClient,
    registration: Registration,
    wang: Asker,
) -> None:
    place = issued(client)
    assert client.get(place).json()["organisation_id"] == registration.hangzhou.id
    (request,) = client.get("/requests").json()["items"]
    assert request["organisation_id"] == registration.hangzhou.id


def test_another_branch_is_refused_with_the_right_that_is_missing(
    client: TestClient,
    registration: Registration,
    wang: Asker,
) -> None:
    answer = client.post("/requests", json={**BODY, "organisation": registration.ningbo.id})
    assert answer.status_code == 403
    assert answer.json()["detail"] == (
        "wang lacks the right: apply, step entry, profile device in 某省 / 宁波市"
    )
    unknown = client.post("/requests", json={**BODY, "organisation": "0" * 32})
    assert (unknown.status_code, "no organisation" in unknown.text) == (404, True)


def test_every_act_on_anothers_branch_is_refused(
    client: TestClient,
    registration: Registration,
    wang: Asker,
) -> None:
    wang.name = "alice"
    foreign = {"organisation": registration.ningbo.id}
    certificate = issued(client, **foreign)
    waiting = f"/requests/{client.post('/requests', json={**BODY, **foreign}).json()['id']}"
    wang.name = "wang"
    for method, path, body in (
        ("GET", certificate, None),
        ("POST", f"{certificate}/revoke", {"reason": "superseded"}),
        ("POST", f"{certificate}/hold", None),
        ("POST", f"{certificate}/release", None),
        ("GET", waiting, None),
        ("POST", f"{waiting}/approve", None),
        ("POST", f"{waiting}/make", None),
        ("POST", f"{waiting}/reject", {"reason": "x"}),
        ("GET", f"{waiting}/pair", None),
        ("POST", f"{waiting}/recovery", {"issuer": "a", "serial": "1", "reason": "x"}),
    ):
        answer = client.request(method, path, json=body)
        assert answer.status_code == 403, (method, path, answer.text)
        assert "wang lacks the right: " in answer.json()["detail"]
        assert "某省 / 宁波市" in answer.json()["detail"]


def test_who_enters_does_not_review_without_that_step(
    client: TestClient,
    wang: Asker,
) -> None:
    waiting = f"/requests/{client.post('/requests', json=BODY).json()['id']}"
    answer = client.post(f"{waiting}/approve")
    assert answer.status_code == 403
    assert "apply, step review, profile device in 某省 / 杭州市" in answer.json()["detail"]


def test_lists_show_the_own_subtree_and_the_auditor_sees_all(
    client: TestClient,
    registration: Registration,
    wang: Asker,
) -> None:
    wang.name = "alice"
    for organisation in (registration.finance, registration.ningbo):
        issued(client, organisation=organisation.id)
    wang.name = "wang"
    for path in ("/certificates", "/requests"):
        (item,) = client.get(path).json()["items"]
        assert item["organisation_id"] == registration.finance.id
    table = client.get("/certificates", params={"format": "csv"}).text
    assert len(table.splitlines()) == 2
    named = [item["name"] for item in client.get("/organisations").json()["items"]]
    assert named == ["杭州市", "财政局"]
    wang.name, wang.role = "auditor", Role.AUDIT
    assert len(client.get("/requests").json()["items"]) == 2
    assert len(client.get("/organisations").json()["items"]) == 4


def test_who_holds_nothing_sees_nothing_and_is_told(
    client: TestClient,
    asker: Asker,
) -> None:
    asker.name = "zhao"
    for path in ("/certificates", "/requests", "/organisations", "/rights"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "zhao has no right to" in answer.json()["detail"]
    assert client.get("/rights", params={"operator": "zhao"}).json()["items"] == []


def test_the_tree_is_changed_by_who_may(
    client: TestClient,
    registration: Registration,
    asker: Asker,
) -> None:
    manager = Grant(None, frozenset({Operation.ORGANISATIONS, Operation.QUERY}), frozenset())
    registration.rights.grant("wang", registration.hangzhou.id, manager, actor="alice")
    asker.name = "wang"
    new = {"parent": registration.hangzhou.id, "level": "county", "name": "西湖区"}
    made = client.post("/organisations", json={**new, "code": "330106"})
    assert (made.status_code, made.json()["code"]) == (201, "330106")
    place = f"/organisations/{made.json()['id']}"
    assert client.post(f"{place}/rename", json={"name": "西湖"}).status_code == 200
    moved = client.post(f"{place}/move", json={"parent": registration.ningbo.id})
    assert moved.status_code == 403
    assert "organisations in 某省 / 宁波市" in moved.json()["detail"]
    assert client.post(f"{place}/close").json()["closed_at"] is not None
    detail = client.get(place).json()
    assert [item["kind"] for item in detail["history"]] == ["created", "renamed", "closed"]
    assert [item["name"] for item in detail["path"]] == ["某省", "杭州市", "西湖"]
    top = f"/organisations/{registration.hangzhou.id}"
    assert client.post(f"{top}/move", json={"parent": registration.ningbo.id}).status_code == 403


def test_a_right_is_given_listed_and_taken(
    client: TestClient,
    registration: Registration,
    asker: Asker,
) -> None:
    body = {
        "operator": "wang",
        "organisation": registration.hangzhou.id,
        "profiles": ["device"],
        "operations": ["query", "apply"],
        "steps": ["entry"],
    }
    given = client.post("/rights", json=body)
    assert given.status_code == 201
    assert (given.json()["operations"], given.json()["granted_by"]) == (["apply", "query"], "alice")
    assert client.get("/rights", params={"operator": "wang"}).json()["items"] == [given.json()]
    place = f"/rights/{given.json()['id']}"
    asker.name = "wang"
    assert client.delete(place).status_code == 403
    asker.name = "alice"
    assert client.delete(place).status_code == 204
    assert client.delete(place).status_code == 404
    for wrong in ({"profiles": []}, {"operations": ["fly"]}, {"steps": ["x"]}, {"x": 1}):
        assert client.post("/rights", json={**body, **wrong}).status_code == 400


def test_a_review_rule_is_set_listed_and_removed(
    client: TestClient, registration: Registration, wang: Asker
) -> None:
    wang.name = "alice"
    body = {"operation": "apply", "organisation": registration.hangzhou.id, "review": True}
    rule = client.post("/review-rules", json={**body, "profile": "direct", "make": True})
    assert rule.status_code == 404, "direct is a profile of the test, not of the rules"
    rule = client.post("/review-rules", json={**body, "profile": "device", "make": True})
    assert (rule.status_code, rule.json()["make"]) == (201, True)
    wang.name = "wang"
    assert client.get("/review-rules").json() == [rule.json()]
    place = f"/review-rules/{rule.json()['id']}"
    assert client.delete(place).status_code == 403
    wang.name = "alice"
    assert client.delete(place).status_code == 204
    assert client.get("/review-rules").json() == []
    assert client.post("/review-rules", json={**body, "operation": "query"}).status_code == 400
