"""Acts that need several people: who may approve, how often it is done, and what a crash leaves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.config import ActRule, ControlConfig
from core.control import DualControl
from core.control_sql import SQLProposalStore
from core.control_store import MAX_PARAMETERS, Act, Proposal, ProposalState
from core.db import Database
from core.errors import Conflict, Forbidden, Malformed, NotFound, TooLarge, Unavailable
from core.identity import Principal, Role
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock

S = ProposalState
ACT = Act.MASS_REVOCATION
PARAMETERS = {"issuer": "sm2-issuing", "serials": ["1", "2"]}


def officer(name: str, role: Role = Role.BUSINESS) -> Principal:
    return Principal(name, role, "token")


class World:
    def __init__(self, database: Database, clock: FakeClock, audit: MemoryAuditLog) -> None:
        self.database, self.clock, self.audit = database, clock, audit
        self.done: list[Proposal] = []
        self.error: Exception | None = None

    def control(self, approvals: int, *, atomic: bool = True) -> DualControl:
        rule = ActRule(approvals=approvals, hours=24)
        made = DualControl(
            SQLProposalStore(self.database),
            config=ControlConfig(mass_revocation=rule, ca_certificate=rule),
            transactions=self.database,
            audit=self.audit,
            clock=self.clock,
        )
        made.register(ACT, self.execute, atomic=atomic)
        return made

    def execute(self, proposal: Proposal) -> str:
        self.audit.record("thing.done", actor=proposal.requester, detail={})
        if self.error is not None:
            raise self.error
        self.done.append(proposal)
        return "two certificates"


@pytest.fixture
def world(database: Database, clock: FakeClock, audit: MemoryAuditLog) -> World:
    return World(database, clock, audit)


def propose(control: DualControl, actor: str = "alice") -> Proposal:
    return control.propose(ACT, PARAMETERS, summary="revoke two", actor=actor)


def test_an_act_that_needs_nobody_else_is_done_at_once(world: World) -> None:
    made = propose(world.control(0))
    assert (made.state, made.outcome) == (S.EXECUTED, "two certificates")
    assert [one.arguments() for one in world.done] == [PARAMETERS]
    assert world.audit.actions == ["proposal.made", "thing.done", "proposal.executed"]


@pytest.mark.parametrize("atomic", [True, False])
def test_it_is_done_once_after_the_last_approval(world: World, atomic: bool) -> None:
    control = world.control(2, atomic=atomic)
    made = propose(control)
    assert (made.state, made.needed) == (S.PROPOSED, 2)
    assert control.approve(made.id, actor=officer("bob")).state is S.PROPOSED
    assert world.done == []
    done = control.approve(made.id, actor=officer("carol"))
    assert (done.state, done.outcome) == (S.EXECUTED, "two certificates")
    assert [approval.officer for approval in done.approvals] == ["bob", "carol"]
    assert len(world.done) == 1
    with pytest.raises(Conflict, match="executed"):
        control.approve(made.id, actor=officer("dave"))
    world.clock.advance(seconds=60)
    assert control.resume() == 0
    assert len(world.done) == 1
    assert world.audit.actions == [
        "proposal.made",
        "proposal.approved",
        "proposal.approved",
        "thing.done",
        "proposal.executed",
    ]


def test_the_requester_does_not_approve_and_nobody_approves_twice(world: World) -> None:
    control = world.control(2)
    made = propose(control)
    with pytest.raises(Forbidden, match="another person"):
        control.approve(made.id, actor=officer("alice"))
    control.approve(made.id, actor=officer("bob"))
    with pytest.raises(Conflict, match="bob has approved"):
        control.approve(made.id, actor=officer("bob"))
    assert control.get(made.id).state is S.PROPOSED
    assert world.audit.actions.count("proposal.approved") == 1


@pytest.mark.parametrize("role", [Role.AUDIT, Role.SYSTEM, Role.KEY, None])
def test_only_the_roles_of_the_act_decide(world: World, role: Role | None) -> None:
    control = world.control(1)
    made = propose(control)
    outsider = Principal("eve", role, "token")
    with pytest.raises(Forbidden, match="decided by business"):
        control.approve(made.id, actor=outsider)
    with pytest.raises(Forbidden):
        control.reject(made.id, actor=outsider, reason="no")
    assert control.get(made.id).state is S.PROPOSED


def test_a_rejected_proposal_is_over_and_a_requester_may_take_an_own_one_back(
    world: World,
) -> None:
    control = world.control(1)
    for who in ("bob", "alice"):
        made = propose(control)
        over = control.reject(made.id, actor=officer(who), reason="the wrong issuer")
        assert (over.state, over.outcome) == (S.REJECTED, "the wrong issuer")
        with pytest.raises(Conflict, match="rejected"):
            control.approve(made.id, actor=officer("carol"))
    assert world.done == []


def test_a_proposal_expires(world: World) -> None:
    control = world.control(1)
    made = propose(control)
    world.clock.advance(hours=24)
    assert control.get(made.id).state is S.EXPIRED
    assert [p.id for p in control.list_proposals(state=S.EXPIRED)] == [made.id]
    assert control.list_proposals(state=S.PROPOSED) == []
    with pytest.raises(Conflict, match="expired"):
        control.approve(made.id, actor=officer("bob"))
    assert control.resume() == 1
    assert control.resume() == 0
    assert world.audit.actions == ["proposal.made", "proposal.expired"]


def test_an_act_that_cannot_be_done_says_why_and_leaves_nothing_half_done(world: World) -> None:
    control = world.control(1)
    made = propose(control)
    world.error = Conflict("somebody was faster")
    failed = control.approve(made.id, actor=officer("bob"))
    assert (failed.state, failed.outcome) == (S.FAILED, "somebody was faster")
    world.error = None
    world.clock.advance(seconds=60)
    assert control.resume() == 0
    assert world.done == []


def test_an_act_at_once_that_fails_raises_its_error_and_leaves_no_proposal(world: World) -> None:
    control = world.control(0)
    world.error = Conflict("the name is taken")
    with pytest.raises(Conflict, match="the name is taken"):
        propose(control)
    assert control.list_proposals() == []


@pytest.mark.parametrize("atomic", [True, False])
def test_what_a_crash_or_an_outage_left_approved_is_done_later(world: World, atomic: bool) -> None:
    control = world.control(1, atomic=atomic)
    made = propose(control)
    world.error = Unavailable("the token is away")
    assert control.approve(made.id, actor=officer("bob")).state is S.APPROVED
    world.error = None
    assert control.resume() == 0, "whoever approved may still be doing it"
    world.clock.advance(seconds=30)
    restarted = world.control(1, atomic=atomic)
    assert restarted.resume() == 1
    assert restarted.get(made.id).state is S.EXECUTED
    assert restarted.resume() == 0
    assert len(world.done) == 1


def test_an_approval_that_cannot_be_audited_does_not_count(world: World) -> None:
    control = world.control(1)
    made = propose(control)
    world.audit.broken = True
    with pytest.raises(Unavailable):
        control.approve(made.id, actor=officer("bob"))
    world.audit.broken = False
    assert control.get(made.id).approvals == ()
    assert world.done == []


def test_an_act_without_an_executor_is_found_by_exactly_its_parameters_and_used_once(
    world: World,
) -> None:
    control = world.control(1)
    made = control.propose(
        Act.CA_CERTIFICATE, {"b": 1, "a": "根"}, summary="a new root", actor="alice"
    )
    same = {"a": "根", "b": 1}
    assert control.find_approved(Act.CA_CERTIFICATE, same) is None
    control.approve(made.id, actor=officer("bob"))
    assert control.find_approved(Act.CA_CERTIFICATE, {"a": "根", "b": 2}) is None
    found = control.find_approved(Act.CA_CERTIFICATE, same)
    assert found is not None
    assert control.use(found.id, outcome="issued").outcome == "issued"
    with pytest.raises(Conflict, match="executed"):
        control.use(found.id, outcome="issued again")
    assert control.find_approved(Act.CA_CERTIFICATE, same) is None


def test_what_cannot_be_a_proposal_is_refused(world: World) -> None:
    control = world.control(1)
    with pytest.raises(TooLarge, match=str(MAX_PARAMETERS)):
        control.propose(ACT, {"x": "y" * MAX_PARAMETERS}, summary="much", actor="alice")
    with pytest.raises(Malformed, match="JSON"):
        control.propose(ACT, {"x": object()}, summary="odd", actor="alice")
    with pytest.raises(Malformed, match="characters"):
        control.propose(ACT, {}, summary=" ", actor="alice")
    with pytest.raises(NotFound):
        control.get("0" * 32)
    assert control.list_proposals() == []


def test_two_last_approvals_at_once_do_it_once(world: World) -> None:
    control = world.control(1)
    made = propose(control)

    def approve(name: str) -> bool:
        try:
            control.approve(made.id, actor=officer(name))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(approve, ("bob", "carol", "dave", "erin")))
    assert taken.count(True) == 1
    assert len(world.done) == 1
