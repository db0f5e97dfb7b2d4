from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from ca.operations import Operation
from ca.rights_store import Grant, Step
from core.identity import Role
from tests.unit.ca.door import BODY, Asker, issued
from tests.unit.ca.registration import Registration

CARD = {
    "kind": "person",
    "identifier_type": "identity-card",
    "identifier": "11010519491231002X",
}


@pytest.fixture
def zhang(client: TestClient, registration: Registration) -> dict:
    """A person of 财政局, kept by Alice."""
    body = {**CARD, "name": "张三", "organisation": registration.finance.id}
    made = client.post("/subjects", json={**body, "contacts": {"phone": "1"}})
    assert made.status_code == 201, made.text
    return made.json()


@pytest.fixture
def wang(registration: Registration, asker: Asker) -> Asker:
    """Wang may enter and query in 宁波市; the client asks as Wang."""
    registration.rights.grant(
        "wang",
        registration.ningbo.id,
        Grant(None, frozenset({Operation.APPLY, Operation.QUERY}), frozenset({Step.ENTRY})),
        actor="alice",
    )
    asker.name = "wang"
    return asker


def test_a_certificate_says_under_whom_it_was_issued_and_where_its_subject_is_now(
    client: TestClient, registration: Registration, zhang: dict
) -> None:
    place = issued(client, subject_id=zhang["id"])
    moved = client.post(
        f"/subjects/{zhang['id']}/move", json={"organisation": registration.ningbo.id}
    )
    assert moved.status_code == 200
    shown = client.get(place).json()
    assert shown["issued_under"]["name"] == "财政局"
    assert shown["subject_now"]["name"] == "张三"
    assert shown["subject_now"]["organisation"]["name"] == "宁波市"
    detail = client.get(f"/subjects/{zhang['id']}").json()
    assert [line["after"] for line in detail["history"]] == [
        registration.finance.id,
        registration.ningbo.id,
    ]
    later = client.get(issued(client, subject_id=zhang["id"])).json()
    assert later["issued_under"]["name"] == "宁波市"
    linked = client.get("/certificates", params={"subject_id": zhang["id"]}).json()["items"]
    assert len(linked) == 2


def test_a_request_goes_where_its_subject_belongs(
    client: TestClient, registration: Registration, zhang: dict, wang: Asker
) -> None:
    wrong = {**BODY, "subject_id": zhang["id"], "organisation": registration.ningbo.id}
    answer = client.post("/requests", json=wrong)
    assert (answer.status_code, "belongs to another" in answer.text) == (422, True)
    answer = client.post("/requests", json={**BODY, "subject_id": zhang["id"]})
    assert (answer.status_code, "wang lacks the right: apply" in answer.text) == (403, True)
    assert client.post("/requests", json={**BODY, "subject_id": "0" * 32}).status_code == 404


def test_who_may_not_look_there_does_not_learn_where_somebody_belongs(
    client: TestClient, registration: Registration, zhang: dict, wang: Asker
) -> None:
    hidden = client.post("/subjects/find", json=CARD)
    unknown = client.post("/subjects/find", json={**CARD, "identifier": "110101199003070054"})
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.json()["detail"] == unknown.json()["detail"]
    assert client.get("/subjects").json()["items"] == []
    assert client.get(f"/subjects/{zhang['id']}").status_code == 403
    again = {**CARD, "name": "x", "organisation": registration.ningbo.id}
    kept = client.post("/subjects", json=again)
    assert (kept.status_code, "kept already" in kept.text) == (409, True)
    for path, body in (
        ("update", {"name": "x"}),
        ("move", {"organisation": registration.ningbo.id}),
    ):
        assert client.post(f"/subjects/{zhang['id']}/{path}", json=body).status_code == 403


def test_only_the_end_of_a_card_number_is_shown(client: TestClient, zhang: dict) -> None:
    assert zhang["identifier"] == "…002X"
    found = client.post("/subjects/find", json={**CARD, "identifier": "11010519491231002x"})
    assert found.json() == zhang
    wrong = client.post("/subjects/find", json={**CARD, "identifier": "110105194912310021"})
    assert wrong.status_code == 400
    assert "110105194912310021" not in wrong.text


def test_the_auditor_looks_and_changes_nothing(
    client: TestClient, zhang: dict, asker: Asker
) -> None:
    asker.role = Role.AUDIT
    assert client.get("/subjects").json()["items"] == [zhang]
    assert client.post("/subjects/find", json=CARD).status_code == 200
    for path in ("/subjects", f"/subjects/{zhang['id']}/update", f"/subjects/{zhang['id']}/move"):
        assert client.post(path).status_code == 403


def test_a_subject_is_updated(client: TestClient, zhang: dict) -> None:
    changed = client.post(
        f"/subjects/{zhang['id']}/update", json={"name": "张三丰", "email": "z@example.cn"}
    )
    assert changed.json() | {"updated_at": ""} == zhang | {
        "name": "张三丰", "email": "z@example.cn", "contacts": {}, "updated_at": "",
    }  # fmt: skip
