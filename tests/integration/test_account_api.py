"""Affiliations, verified names and access policies over HTTP, and who may touch them."""

from __future__ import annotations

import uuid

import pytest

from core.identity import Role
from tests.integration.provider import House, answer_of, build, flow, log_in

BUREAU = "b" * 32
NUMBER = "11010519491231002X"


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    made = build(sqlite_database, audit=audit, clock=clock)
    made.directory.parents[BUREAU] = "province"
    return made


@pytest.fixture
def ask(house):
    """Call the API as the administrator of a role; None: as nobody."""
    caller, tokens = house.browser(), house.provider.administration.api_tokens
    headers = {
        role: {
            "Authorization": "Bearer "
            + tokens.create(
                house.user(f"{role}.one", role=role, password=None), name="t", days=1, actor="t"
            )
        }
        for role in Role
    }

    def call(method: str, path: str, body: object = None, *, role: Role | None = Role.SYSTEM):
        return caller.request(
            method, f"/api/v1{path}", json=body, headers=headers[role] if role else {}
        )

    return call


def test_a_person_is_tied_listed_and_untied(house, ask, clock):
    user = house.user(password=None)
    path = f"/users/{user.id}/affiliations"
    body = {"organisation": BUREAU, "capacity": "agent", "ends_at": "2099-01-01T00:00:00+08:00"}
    made = ask("POST", path, body)
    assert made.status_code == 201, made.text
    assert made.json()["ends_at"] == "2098-12-31T16:00:00Z"
    assert ask("POST", path, body).status_code == 409
    assert ask("GET", path, role=Role.AUDIT).json() == [made.json()]
    one = f"/affiliations/{made.json()['id']}"
    assert ask("DELETE", one).status_code == 204
    assert ask("DELETE", one).status_code == 404
    assert ask("GET", path).json() == []
    assert house.audit.actions.count("affiliation.removed") == 1


def test_a_wrong_affiliation_changes_nothing(house, ask):
    path = f"/users/{house.user(password=None).id}/affiliations"
    for change, status in (
        ({"organisation": "f" * 32}, 404),
        ({"organisation": "province"}, 400),
        ({"capacity": "king"}, 400),
        ({"ends_at": "2001-01-01T00:00:00Z"}, 400),
        ({"ends_at": "2099-01-01T00:00:00"}, 400),
        ({"more": 1}, 400),
    ):
        answer = ask("POST", path, {"organisation": BUREAU, "capacity": "agent"} | change)
        assert answer.status_code == status, answer.text
    assert ask("GET", path).json() == []


def test_how_a_person_is_reached_is_checked_and_replaced_as_a_whole(house, ask):
    user = house.user(password=None)
    path = f"/users/{user.id}/contact"
    known = {"phone": "+861082345678;ext=12", "address": "北京市\n东城区"}
    answer = ask("PUT", path, known)
    assert answer.status_code == 200, answer.text
    found = house.provider.administration.users.get(user.id)
    assert (found.email, found.phone, found.address) == (None, *known.values())
    for wrong in (
        {"email": "nobody"},
        {"email": f"{'a' * 250}@b.cn"},
        {"phone": "13800138000"},
        {"phone": "+8613800138000;ext="},
        {"address": " "},
        {"address": "a\tb"},
        {"address": "x" * 301},
        {"fax": "+861082345678"},
    ):
        answer = ask("PUT", path, known | wrong)
        assert answer.status_code == 400, answer.text
    assert house.provider.administration.users.get(user.id) == found
    assert house.audit.actions.count("user.contact") == 1
    assert known["phone"] not in repr(house.audit.events)
    assert ask("PUT", f"/users/{uuid.uuid4()}/contact", known).status_code == 404


def test_a_name_is_verified_and_its_number_is_never_told(house, ask):
    path = f"/users/{house.user(password=None).id}/real-name"
    answer = ask("PUT", path, {"level": 3, "identity_card": NUMBER})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["level"], answer.json()["verified_by"]) == (3, f"{Role.SYSTEM}.one")
    assert NUMBER not in answer.text + repr(house.audit.events)
    other = f"/users/{house.user('li.na', password=None).id}/real-name"
    taken = ask("PUT", other, {"level": 3, "identity_card": NUMBER})
    assert taken.status_code == 409
    assert NUMBER not in taken.text
    assert ask("PUT", path, {"level": 9}).status_code == 400
    assert ask("PUT", f"/users/{uuid.uuid4()}/real-name", {"level": 1}).status_code == 404


def test_who_may_enter_is_said_and_counts_at_once(house, ask):
    house.user()
    client, browser = house.public_client(), house.browser()
    log_in(browser)
    path = f"/clients/{client.id}/access"
    opened = ask("GET", path, role=Role.AUDIT).json()
    assert opened == {
        "least_level": "password",
        "account": None,
        "least_real_name": 0,
        "rules": [],
        "consent": False,
    }
    assert "code" in answer_of(browser.get(flow(client.id).path))
    closed = opened | {"rules": [{"organisation": BUREAU, "capacity": "agent"}]}
    answer = ask("PUT", path, closed)
    assert (answer.status_code, answer.json()) == (200, closed)
    assert ask("GET", path).json() == closed
    assert "code" not in browser.get(flow(client.id).path).headers["location"]
    for wrong in ({"least_level": "none"}, {"rules": [{"organisation": "x"}]}, {"more": 1}):
        assert ask("PUT", path, opened | wrong).status_code == 400
    unknown = opened | {"rules": [{"organisation": "f" * 32}]}
    assert ask("PUT", path, unknown).status_code in {400, 404}
    assert ask("GET", path).json() == closed
    assert ask("PUT", "/clients/nobody/access", opened).status_code == 404


def test_a_login_is_tried_without_the_person(house, ask):
    user, client = house.user(), house.public_client()
    path = f"/clients/{client.id}"
    tie = {"organisation": BUREAU, "capacity": "agent"}
    tied = ask("POST", f"/users/{user.id}/affiliations", tie).json()
    before = len(house.audit.events)

    def tried(**policy: object) -> list[tuple[str | None, str | None]]:
        assert ask("PUT", f"{path}/access", policy).status_code == 200
        answer = ask("GET", f"{path}/trial?user={user.name}", role=Role.AUDIT).json()
        assert answer["reachable_level"] == "password"
        return [(one["affiliation"] and one["affiliation"]["id"], one["refusal"])
                for one in answer["verdicts"]]  # fmt: skip

    assert tried() == [(None, None), (tied["id"], None)]
    assert tried(account="legal") == [(None, "legal"), (tied["id"], None)]
    assert tried(least_real_name=3) == [(None, "real-name"), (tied["id"], "real-name")]
    assert tried(least_level="two-factors") == [(None, "level"), (tied["id"], "level")]
    assert ask("GET", f"{path}/trial?user=nobody").status_code == 404
    assert ask("GET", f"{path}/trial").status_code == 400
    assert ask("GET", f"{path}/trial?user={user.name}", role=Role.BUSINESS).status_code == 403
    assert set(house.audit.actions[before:]) == {"access.changed"}, "a trial leaves nothing behind"


def test_only_system_administrators_change_and_nobody_else_looks(house, ask):
    user, client = house.user(password=None), house.public_client()
    changes = [
        ("POST", f"/users/{user.id}/affiliations", {"organisation": BUREAU, "capacity": "agent"}),
        ("DELETE", f"/affiliations/{uuid.uuid4()}", None),
        ("PUT", f"/users/{user.id}/real-name", {"level": 1}),
        ("PUT", f"/users/{user.id}/contact", {}),
        ("PUT", f"/clients/{client.id}/access", {}),
    ]
    for method, path, body in changes:
        assert ask(method, path, body, role=None).status_code == 401
        assert ask(method, path, body, role=Role.AUDIT).status_code == 403
        assert ask(method, path, body, role=Role.BUSINESS).status_code == 403
    for path in (f"/users/{user.id}/affiliations", f"/clients/{client.id}/access"):
        assert ask("GET", path, role=Role.BUSINESS).status_code == 403
