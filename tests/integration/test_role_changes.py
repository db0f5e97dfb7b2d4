"""Administrators under control: nobody alone makes, changes or takes over a line."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from core.config import ActRule, ControlConfig
from core.db import Database
from core.identity import Role
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.integration import provider
from tests.integration.provider import House


class Office:
    """The house with its administrators, each with a token."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.people = {
            name: house.user(name, role=role)
            for name, role in (
                ("sun", Role.SYSTEM),
                ("shen", Role.SYSTEM),
                ("bai", Role.BUSINESS),
                ("an", Role.AUDIT),
            )
        }
        tokens = house.provider.administration.api_tokens
        self.tokens = {
            name: tokens.create(user, name="t", days=1, actor="t")
            for name, user in self.people.items()
        }

    def call(self, who: str, method: str, path: str, body: object = None):
        browser: TestClient = self.house.browser()
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return browser.request(method, f"/api/v1{path}", json=body, headers=headers)

    def change(self, path: str, body: object = None, *, by: str = "sun") -> str:
        """Propose a change; return the proposal's id."""
        answer = self.call(by, "POST", path, body)
        assert answer.status_code == 202, answer.text
        return answer.json()["proposal"]

    def approve(self, proposal: str, *, by: str):
        return self.call(by, "POST", f"/proposals/{proposal}/approve")

    def find(self, name: str):
        return self.house.provider.administration.users.find_by_name(name)


@pytest.fixture
def house(sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock) -> House:
    rules = ControlConfig(role_change=ActRule(approvals=1))
    return provider.build(sqlite_database, audit=audit, clock=clock, rules=rules)


@pytest.fixture
def office(house: House) -> Office:
    return Office(house)


@pytest.fixture
def alone(sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock) -> Office:
    """No approvals asked for: the first start."""
    return Office(provider.build(sqlite_database, audit=audit, clock=clock))


NEW = {"name": "li", "display_name": "李", "role": "audit"}


def test_a_new_administrator_exists_when_another_agrees(office: Office) -> None:
    proposal = office.change("/users", NEW)
    assert office.find("li") is None
    shown = office.call("an", "GET", f"/proposals/{proposal}").json()
    assert shown["summary"] == "create the user li (李) with the role audit"
    refused = office.approve(proposal, by="sun")
    assert (refused.status_code, office.find("li")) == (403, None)
    assert "another person" in refused.json()["detail"]
    assert office.approve(proposal, by="an").status_code == 403
    assert office.approve(proposal, by="shen").json()["state"] == "executed"
    assert office.find("li").role is Role.AUDIT
    link = office.call("sun", "POST", f"/users/{office.find('li').id}/setup-link")
    assert link.status_code == 201, "the first credential belongs to the creation"


def test_a_user_without_a_role_needs_nobody(office: Office) -> None:
    made = office.call("sun", "POST", "/users", {"name": "li", "display_name": "李"})
    assert made.status_code == 201
    gone = office.call("sun", "POST", f"/users/{made.json()['id']}/disable")
    assert (gone.status_code, office.find("li").disabled) == (204, True)


def test_a_changed_role_ends_sessions_and_tokens(office: Office) -> None:
    browser = office.house.browser()
    assert provider.log_in(browser, name="bai").status_code == 303
    bai = office.people["bai"]
    proposal = office.change(f"/users/{bai.id}/role", {"role": "audit"})
    assert office.call("bai", "GET", "/whoami").status_code == 200
    assert office.approve(proposal, by="shen").json()["outcome"] == "changed the role of bai"
    assert office.find("bai").role is Role.AUDIT
    assert office.call("bai", "GET", "/whoami").status_code == 401
    ended = [d for a, _, d in office.house.audit.events if a == "session.ended"]
    assert [detail["reason"] for detail in ended] == ["role"]
    assert office.house.audit.events[-2] == (
        "role.changed",
        "sun",
        {"user": "bai", "from": "business", "to": "audit"},
    )


def test_a_role_that_changed_meanwhile_is_not_changed_again(office: Office) -> None:
    path = f"/users/{office.people['bai'].id}/role"
    first, second = office.change(path, {"role": None}), office.change(path, {"role": "system"})
    assert office.approve(first, by="shen").json()["state"] == "executed"
    failed = office.approve(second, by="shen").json()
    assert (failed["state"], office.find("bai").role) == ("failed", None)
    assert "another role" in failed["outcome"]


def test_locking_an_administrator_out_and_in_needs_another(office: Office) -> None:
    path = f"/users/{office.people['an'].id}"
    for word, disabled in (("disable", True), ("enable", False)):
        proposal = office.change(f"{path}/{word}")
        assert office.find("an").disabled is not disabled
        assert office.approve(proposal, by="bai").json()["state"] == "executed"
        assert office.find("an").disabled is disabled


def test_nobody_takes_over_a_line_with_a_new_credential(office: Office) -> None:
    an = office.people["an"]
    refused = office.call("sun", "POST", f"/users/{an.id}/setup-link")
    assert refused.status_code == 403
    assert "propose-credential" in refused.json()["detail"]
    office.house.verifier.add(b"certificate", b"spki")
    pem = "-----BEGIN CERTIFICATE-----\nY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
    bind = {"user_id": an.id, "certificate": pem}
    assert office.call("sun", "POST", "/certificate-bindings", bind).status_code == 403

    proposal = office.change(f"/users/{an.id}/credential")
    assert office.call("sun", "POST", f"/users/{an.id}/setup-link").status_code == 403
    assert office.approve(proposal, by="bai").json()["state"] == "approved"
    stolen = office.call("shen", "POST", f"/users/{an.id}/setup-link")
    assert stolen.status_code == 403, "only who proposed it"
    assert office.call("sun", "POST", "/certificate-bindings", bind).status_code == 201
    used = office.call("sun", "POST", f"/users/{an.id}/setup-link")
    assert used.status_code == 403, "one credential, once"


def test_without_approvals_everything_happens_at_once(alone: Office) -> None:
    made = alone.call("sun", "POST", "/users", NEW)
    assert (made.status_code, made.json()["role"]) == (201, "audit")
    path = f"/users/{made.json()['id']}"
    changed = alone.call("sun", "POST", f"{path}/role", {"role": "business"})
    assert (changed.status_code, changed.json()["state"]) == (200, "executed")
    assert alone.call("sun", "POST", f"{path}/role", {"role": "business"}).status_code == 409
    assert alone.call("sun", "POST", f"{path}/disable").status_code == 204
    assert alone.call("sun", "POST", f"{path}/enable").status_code == 204
    assert alone.call("sun", "POST", f"{path}/setup-link").status_code == 201
    assert alone.call("sun", "POST", f"{path}/credential").status_code == 400
    assert alone.call("sun", "POST", "/users", NEW).status_code == 409


def test_the_auditor_reads_who_holds_what_and_changes_nothing(office: Office) -> None:
    for path in ("/users", "/certificate-bindings", "/clients", "/proposals"):
        assert office.call("an", "GET", path).status_code == 200
    assert office.call("an", "POST", "/users", NEW).status_code == 403
    assert office.call("bai", "POST", "/users", NEW).status_code == 403
