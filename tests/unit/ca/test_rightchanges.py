"""Rights under the control of several people: who may agree, and who may not."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from ca.operations import Operation
from ca.rights_store import Grant, Step
from core.config import ActRule, ControlConfig
from core.control_store import Proposal, ProposalState
from core.db import Database
from core.errors import Conflict, Forbidden
from core.identity import Principal, Role
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.ca.registration import Registration

ENTRY = Grant(frozenset({"device"}), frozenset({Operation.APPLY}), frozenset({Step.ENTRY}))
MANAGES = Grant(None, None, frozenset({Step.REVIEW}))


def who(name: str, role: Role = Role.BUSINESS) -> Principal:
    return Principal(name, role, "token")


@pytest.fixture
def registration(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> Registration:
    """One approval is asked of role changes, and so of rights."""
    rules = ControlConfig(role_change=ActRule(approvals=1))
    made = Registration(sqlite_database, audit, clock, rules=rules)
    made.rights.grant("chen", made.hangzhou.id, MANAGES, actor="alice")
    made.rights.grant("song", made.ningbo.id, MANAGES, actor="alice")
    return made


def propose(registration: Registration) -> Proposal:
    place = registration.finance.id
    return registration.changes.grant("wang", place, ENTRY, actor="alice")


def held(registration: Registration) -> list[str]:
    page = registration.rights.list_rights(operator="wang", scope=None)
    return [right.id for right in page.items]


def test_a_right_is_given_by_two(registration: Registration) -> None:
    proposal = propose(registration)
    assert proposal.state is ProposalState.PROPOSED
    assert "give wang a right in 某省 / 杭州市 / 财政局" in proposal.summary
    assert held(registration) == []
    done = registration.control.approve(proposal.id, actor=who("chen"))
    assert done.state is ProposalState.EXECUTED
    assert held(registration) == [proposal.arguments()["right"]]


@pytest.mark.parametrize(
    ("officer", "words"),
    [
        (who("alice"), "cannot approve it: another person has to"),
        (who("wang"), "nobody approves rights of their own"),
        (who("song"), "song does not hold the right `rights` in this organisation"),
        (who("eve", Role.AUDIT), "decided by business or system"),
    ],
)
def test_who_may_not_agree_is_told_why(
    registration: Registration, officer: Principal, words: str
) -> None:
    proposal = propose(registration)
    with pytest.raises(Forbidden, match=words):
        registration.control.approve(proposal.id, actor=officer)
    assert registration.control.get(proposal.id).approvals == ()
    assert held(registration) == []


def test_a_right_is_taken_by_two(registration: Registration) -> None:
    registration.control.approve(propose(registration).id, actor=who("root", Role.SYSTEM))
    (right,) = held(registration)
    proposal = registration.changes.revoke(right, actor="chen")
    assert held(registration) == [right]
    registration.control.approve(proposal.id, actor=who("alice"))
    assert held(registration) == []


def test_what_could_not_be_given_is_not_proposed(registration: Registration) -> None:
    with pytest.raises(Forbidden, match="song does not hold"):
        registration.changes.grant("wang", registration.finance.id, ENTRY, actor="song")
    with pytest.raises(Forbidden, match="themselves"):
        registration.changes.grant("chen", registration.finance.id, ENTRY, actor="chen")
    assert registration.control.list_proposals() == []


def test_what_cannot_be_done_any_more_fails_with_its_reason(registration: Registration) -> None:
    proposal = propose(registration)
    review = Grant(ENTRY.profiles, ENTRY.operations, frozenset({Step.REVIEW}))
    registration.rights.grant("wang", registration.finance.id, review, actor="alice")
    done = registration.control.approve(proposal.id, actor=who("chen"))
    assert done.state is ProposalState.FAILED
    assert "separate_steps" in (done.outcome or "")


def test_rights_can_have_a_rule_of_their_own(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> None:
    rules = ControlConfig(role_change=ActRule(approvals=2), right_change=ActRule(approvals=0))
    registration = Registration(sqlite_database, audit, clock, rules=rules)
    assert propose(registration).state is ProposalState.EXECUTED
    assert len(held(registration)) == 1


def test_a_proposal_is_answered_with_202(client: TestClient, registration: Registration) -> None:
    body = {"operator": "wang", "organisation": registration.finance.id, "steps": ["entry"],
            "profiles": ["device"], "operations": ["apply"]}  # fmt: skip
    answer = client.post("/rights", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "proposed"
    registration.control.approve(answer.json()["proposal"], actor=who("chen"))
    (right,) = held(registration)
    answer = client.delete(f"/rights/{right}")
    assert (answer.status_code, answer.json()["state"]) == (202, "proposed")
    with pytest.raises(Conflict, match="is proposed"):
        registration.control.use(answer.json()["proposal"], outcome="x")
