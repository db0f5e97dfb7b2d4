"""Registration authorities apart: what the counter does, what the desk keeps, what is carried."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from ca.acts import Act, Branch, Outcome, OutcomeState
from ca.branch import FollowedBranch
from ca.config import PickupConfig
from ca.counter import Counter
from ca.countercheck import CounterCheck
from ca.desk import Desk
from ca.desk_store import DeskState
from ca.dryrun import DryRun
from ca.exchange import bring, collect
from ca.handover import DeliveryDesk
from ca.operations import Operation, Review
from ca.organisations_store import OrganisationQuery
from ca.outcomes import Outcomes
from ca.pickup import PickupOffers
from ca.registrars import Registrar, Registrars
from ca.replacement import ReplacementService
from ca.revocation import RevocationService
from ca.schemas import SubmitRequest
from ca.settlement import Settlement
from ca.sqlbulk import SQLBulkStore
from ca.sqldesk import SQLDeskStore
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlpickup import SQLPickupStore
from ca.sqlregistrars import SQLRegistrarStore
from ca.sqlrequests import SQLRequestStore
from ca.store import CertificateQuery, CertificateState
from core.db import Database
from core.errors import Conflict, Forbidden, Malformed, NotFound, Refused, Unavailable
from tests import databases
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.ca.conftest import PROFILES, Authority
from tests.unit.ca.csrs import make_csr, pem
from tests.unit.ca.pairs import key_management
from tests.unit.ca.registration import Registration
from tests.unit.ca.test_enrollment import make_service

KEY = "ab" * 32


class World:
    """An authority, and one registration authority for 杭州 and two profiles."""

    def __init__(self, authority: Authority, registration: Registration, **enrollment: Any) -> None:
        self.authority, self.registration = authority, registration
        common = {
            "transactions": authority.database,
            "audit": authority.audit,
            "clock": authority.clock,
        }
        self.store = SQLRegistrarStore(authority.database)
        self.registrars = Registrars(self.store, registration.rights, **common)
        self.registrar = self.add("branch", KEY)
        pairs = key_management(authority).pairs
        self.reviews = registration.reviews(PROFILES)
        requests = SQLRequestStore(authority.database)
        revocation = RevocationService(**authority.services)
        settlement = Settlement(
            requests, certificates=authority.store, revocation=revocation, pairs=pairs
        )
        self.blocked: set[str] = set()
        self.enrollment = make_service(
            authority,
            pairs=pairs,
            settle=settlement.settle,
            blocked_keys=self.blocked,
            **enrollment,
        )
        self.profiles = self.enrollment.profiles
        deliveries = DeliveryDesk(
            profiles=self.profiles,
            issuers=authority.issuers,
            certificates=authority.store,
            pairs=pairs,
        )
        self.counter = Counter(
            enrollment=self.enrollment,
            replacements=ReplacementService(
                self.enrollment,
                profiles=self.profiles,
                certificates=authority.store,
                requests=requests,
                clock=authority.clock,
            ),
            outcomes=Outcomes(deliveries),
            revocation=revocation,
            certificates=authority.store,
            organisations=registration.organisations,
            rights=registration.rights,
            reviews=self.reviews,
            done=self.store,
            transactions=authority.database,
            accept_empty_sm2_id=False,
        )
        issuers = {
            name: replace(issuer, blocked_keys=self.blocked)
            for name, issuer in authority.issuers.items()
        }
        self.dry_run = DryRun(
            SQLBulkStore(authority.database),
            profiles=self.profiles,
            issuers=issuers,
            pairs=pairs,
            clock=authority.clock,
        )
        self.check = CounterCheck(self.dry_run, registration.rights, accept_empty_sm2_id=False)

    def add(self, name: str, key: str, organisation: str | None = None) -> Registrar:
        return self.registrars.add(
            name,
            key=key,
            organisation=organisation or self.registration.hangzhou.id,
            profiles=[PROFILES["device"], PROFILES["device-dual-signing"]],
            url=None,
            actor="local:root",
        )

    def perform(self, act: Act) -> Outcome:
        return self.counter.perform(self.registrar, act)

    def issued(self) -> int:
        return len(self.authority.store.search_certificates(
            CertificateQuery(issuer="sm2-issuing", state=CertificateState.ISSUED)
        ).items)  # fmt: skip


def body(**changes: Any) -> SubmitRequest:
    wanted = {"csr": pem(make_csr()).decode(), "profile": "device", "issuer": "sm2-issuing"}
    return SubmitRequest.model_validate(wanted | changes)


def apply(**changes: Any) -> Act:
    return Act(
        id=secrets.token_hex(16),
        operation=Operation.APPLY,
        entered_by="wang",
        reviewed_by="li",
        request=body(**changes),
    )


def on(outcome: Outcome, operation: str, **changes: Any) -> Act:
    wanted = {
        "id": secrets.token_hex(16),
        "operation": operation,
        "entered_by": "wang",
        "reviewed_by": "wang",
        "issuer": outcome.issuer,
        "serial": outcome.serial,
    }
    return Act.model_validate(wanted | changes)


@pytest.fixture
def world(authority: Authority, registration: Registration) -> World:
    return World(authority, registration)


# ---- the counter --------------------------------------------------------------------------------


def test_an_act_done_twice_gives_one_certificate(world: World) -> None:
    act = apply()
    outcomes = [world.perform(act) for _ in range(3)]
    assert outcomes[0].state is OutcomeState.DONE
    assert outcomes[1:] == outcomes[:1] * 2
    assert world.issued() == 1
    record = world.authority.store.find_certificate("sm2-issuing", int(outcomes[0].serial, 16))
    assert record.requester == "ra:branch:wang"
    assert record.organisation_id == world.registration.hangzhou.id
    approved = [e for e in world.authority.audit.events if e[0] == "request.approved"]
    assert [actor for _, actor, _ in approved] == ["ra:branch:li"]


def test_a_pair_is_given_whole(world: World) -> None:
    outcome = world.perform(apply(profile="device-dual-signing"))
    assert outcome.state is OutcomeState.DONE
    assert outcome.enveloped_key
    assert outcome.encryption_chain
    assert outcome.encryption_chain != outcome.chain


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"profile": "smime"}, "ra:branch lacks the right: apply, step review, profile smime"),
        ({"organisation": "ningbo"}, "ra:branch lacks the right"),
        ({"issuer": "nobody"}, "no issuer nobody"),
        ({"validity_days": 36_000}, "allows 1 to 1095 days"),
        ({"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"}, "PEM"),
        ({"subject_id": "0" * 32}, "no subject_id"),
        ({"csr": None, "subject": [{"type": "CN", "value": "x"}]}, "carries a CSR"),
    ],
)
def test_what_it_may_not_have_is_refused_with_a_reason_and_forgotten(
    world: World, changes: dict[str, Any], words: str
) -> None:
    if changes.get("organisation") == "ningbo":
        changes = {"organisation": world.registration.ningbo.id}
    outcome = world.perform(apply(**changes))
    assert outcome.state is OutcomeState.REFUSED
    assert words in outcome.detail
    assert world.issued() == 0


def test_a_place_below_its_own_is_its_own(world: World) -> None:
    outcome = world.perform(apply(organisation=world.registration.finance.id))
    assert outcome.state is OutcomeState.DONE


def test_one_person_for_both_steps_is_refused_where_the_authority_separates_them(
    authority: Authority, registration: Registration
) -> None:
    world = World(authority, registration, separate_approver=True)
    act = apply().model_copy(update={"reviewed_by": "wang"})
    assert world.perform(act).state is OutcomeState.REFUSED
    assert world.perform(apply()).state is OutcomeState.DONE


def test_what_cannot_be_done_now_waits_and_is_done_later(world: World) -> None:
    act = apply()
    world.authority.keystore.broken = True
    assert world.perform(act).state is OutcomeState.WAITING
    world.authority.keystore.broken = False
    assert world.perform(act).state is OutcomeState.DONE
    assert world.issued() == 1


def test_a_make_step_at_the_authority_is_waited_for(world: World) -> None:
    profile = world.enrollment.profiles["device"].model_copy(update={"needs_make": True})
    world.enrollment.profiles["device"] = profile
    act = apply()
    waiting = world.perform(act)
    assert (waiting.state, waiting.detail) == (
        OutcomeState.WAITING,
        "the certificate authority has it as reviewed",
    )
    record = world.enrollment.list_requests().items[0]
    world.enrollment.make(record.id, actor="maker")
    assert world.perform(act).state is OutcomeState.DONE


def test_what_the_authority_rejects_is_refused_with_its_words(world: World) -> None:
    profile = world.enrollment.profiles["device"].model_copy(update={"needs_make": True})
    world.enrollment.profiles["device"] = profile
    act = apply()
    world.perform(act)
    record = world.enrollment.list_requests().items[0]
    world.enrollment.reject(record.id, actor="alice", reason="wrong seal")
    assert world.perform(act).detail == "rejected by alice: wrong seal"


def test_a_change_of_status_is_done_once_whatever_comes_after(world: World) -> None:
    given = world.perform(apply())
    serial = int(given.serial, 16)
    freeze = on(given, "freeze")
    world.perform(freeze)
    world.perform(on(given, "unfreeze"))
    assert world.perform(freeze).state is OutcomeState.DONE, "it was done, and is not done again"
    state = world.authority.store.find_certificate("sm2-issuing", serial).state
    assert state is CertificateState.ISSUED
    assert world.perform(on(given, "revoke", reason="superseded")).state is OutcomeState.DONE
    assert world.perform(on(given, "freeze")).state is OutcomeState.REFUSED
    other = on(given, "unfreeze", id=freeze.id)
    assert "another act" in world.perform(other).detail


def test_a_change_of_status_that_fails_is_not_remembered_as_done(world: World) -> None:
    given = world.perform(apply())
    freeze = on(given, "freeze")
    world.authority.audit.broken = True
    assert world.perform(freeze).state is OutcomeState.WAITING
    world.authority.audit.broken = False
    assert world.store.find_done("branch", freeze.id) is None
    assert world.perform(freeze).state is OutcomeState.DONE


def test_a_review_rule_of_the_authority_asks_for_two_people_there(world: World) -> None:
    given = world.perform(apply())
    world.reviews.set_rule(
        Operation.REVOKE, None, world.registration.hangzhou.id, Review(review=True), actor="alice"
    )
    alone = on(given, "revoke", reason="superseded")
    assert "asks for a second person" in world.perform(alone).detail
    two = on(given, "revoke", reason="superseded", reviewed_by="li")
    assert world.perform(two).state is OutcomeState.DONE


def test_a_certificate_of_another_branch_is_not_touched(world: World) -> None:
    given = world.perform(apply())
    other = world.add("other", "cd" * 32, world.registration.ningbo.id)
    refused = world.counter.perform(other, on(given, "revoke", reason="keyCompromise"))
    assert "ra:other lacks the right: revoke" in refused.detail
    unknown = on(given, "revoke", reason="keyCompromise", serial="01")
    assert "no certificate" in world.perform(unknown).detail


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "revoke"},
        {"operation": "freeze", "reason": "superseded"},
        {"operation": "rekey"},
        {"operation": "reissue", "csr": "x"},
        {"operation": "renew", "csr": "x"},
        {"operation": "make"},
        {"operation": "apply"},
        {"validity_days": 3},
        {"format": "skf"},
        {"serial": None},
        {"entered_by": "ra:branch:wang"},
        {"id": "0"},
        {"more": 1},
    ],
)
def test_an_act_that_is_not_one_is_not_read(changes: dict[str, Any]) -> None:
    act = {"id": "0" * 32, "operation": "freeze", "entered_by": "a", "reviewed_by": "a",
           "issuer": "sm2-issuing", "serial": "01"}  # fmt: skip
    Act.model_validate(act)
    with pytest.raises(ValidationError):
        Act.model_validate(act | changes)


# ---- the registry -------------------------------------------------------------------------------


def test_a_registrar_is_known_by_its_key_until_it_is_removed(world: World) -> None:
    assert world.registrars.require(KEY) == world.registrar
    with pytest.raises(Forbidden, match="no registration authority's here"):
        world.registrars.require("cd" * 32)
    world.registrars.remove("branch", actor="local:root")
    with pytest.raises(Forbidden):
        world.registrars.require(KEY)
    refused = world.perform(apply())
    assert "lacks the right" in refused.detail, "its rights are gone, too"
    with pytest.raises(NotFound):
        world.registrars.remove("branch", actor="local:root")
    assert world.authority.audit.actions.count("right.revoked") == 1


def test_a_registrar_needs_a_name_a_key_of_its_own_profiles_and_a_place(world: World) -> None:
    with pytest.raises(Malformed, match="lowercase"):
        world.add("Branch", "cd" * 32)
    for name, key in (("branch", "cd" * 32), ("other", KEY)):
        with pytest.raises(Conflict):
            world.add(name, key)
    with pytest.raises(NotFound, match="no organisation"):
        world.add("other", "cd" * 32, "0" * 32)
    with pytest.raises(Malformed, match="profiles"):
        world.registrars.add(
            "none", key="ef" * 32, organisation=world.registration.root.id, profiles=[],
            url=None, actor="x",
        )  # fmt: skip
    assert [item.name for item in world.registrars.list_registrars()] == ["branch"]


# ---- the desk -----------------------------------------------------------------------------------


@pytest.fixture
def desk(sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock) -> Desk:
    return make_desk(sqlite_database, audit, clock)


def make_desk(database: Database, audit: MemoryAuditLog, clock: FakeClock, **changes: Any) -> Desk:
    wanted = {
        "pickups": PickupOffers(
            SQLPickupStore(database), config=PickupConfig(hours=24), audit=audit, clock=clock
        ),
        "profiles": PROFILES,
        "separate_approver": False,
        "review_changes": False,
        "accept_empty_sm2_id": False,
    }
    return Desk(
        SQLDeskStore(database), transactions=database, audit=audit, clock=clock,
        **(wanted | changes),
    )  # fmt: skip


def enter(desk: Desk, key: str | None = None, **changes: Any):
    return desk.apply(body(**changes), organisation=None, actor="wang", key=key)


def test_nothing_is_sent_before_it_is_reviewed(desk: Desk) -> None:
    record = enter(desk)
    assert desk.outbox(limit=10) == []
    desk.approve(record.id, actor="li")
    assert [(act.id, act.reviewed_by) for act in desk.outbox(limit=10)] == [(record.id, "li")]
    with pytest.raises(Conflict, match="sent"):
        desk.reject(record.id, actor="li", reason="late")


def test_who_enters_does_not_review_where_the_steps_are_separate(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> None:
    desk = make_desk(sqlite_database, audit, clock, separate_approver=True)
    record = enter(desk)
    with pytest.raises(Forbidden, match="separate_approver"):
        desk.approve(record.id, actor="wang")
    assert desk.approve(record.id, actor="li").state is DeskState.SENT


def test_the_same_key_gives_the_same_record_and_another_body_is_refused(desk: Desk) -> None:
    wanted = body()
    records = {desk.apply(wanted, organisation=None, actor="wang", key="k").id for _ in range(2)}
    assert len(records) == 1
    with pytest.raises(Conflict, match="another request body"):
        enter(desk, "k", profile="device-dual-signing")
    assert enter(desk, "other").id not in records


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"profile": "nothing"}, NotFound),
        ({"profile": "root"}, Refused),
        ({"csr": "x"}, Malformed),
        ({"subject_id": "0" * 32}, Refused),
        ({"csr": None}, Refused),
        ({"csr": None, "subject": [{"type": "GN", "value": "x"}]}, Refused),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused_at_the_desk(
    desk: Desk, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        enter(desk, **changes)


def test_changes_of_status_keep_their_turn_and_waiting_applications_lose_theirs(
    desk: Desk, clock: FakeClock
) -> None:
    applications = [enter(desk).id for _ in range(3)]
    for request_id in applications:
        desk.approve(request_id, actor="li")
    serial = "0" * 39 + "1"
    changes = [
        desk.act(operation, "sm2-issuing", serial, organisation=None, actor="wang").id
        for operation in (Operation.FREEZE, Operation.UNFREEZE)
    ]
    desk.answered(Outcome(id=changes[0], state=OutcomeState.WAITING))
    desk.answered(Outcome(id=applications[0], state=OutcomeState.WAITING))
    waiting = [act.id for act in desk.outbox(limit=10)]
    assert waiting == [*changes, *applications[1:], applications[0]]


def test_a_change_of_status_is_reviewed_where_changes_are(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> None:
    desk = make_desk(sqlite_database, audit, clock, review_changes=True)
    freeze = desk.act(Operation.FREEZE, "x", "0" * 40, organisation=None, actor="wang")
    assert desk.outbox(limit=1) == []
    desk.approve(freeze.id, actor="li")
    sent = desk.outbox(limit=1)[0]
    assert (sent.entered_by, sent.reviewed_by) == ("wang", "li")


def test_an_answer_is_kept_once(desk: Desk, audit: MemoryAuditLog) -> None:
    record = enter(desk)
    desk.answered(Outcome(id=record.id, state=OutcomeState.DONE, issuer="x", serial="01"))
    assert desk.get(record.id).state is DeskState.PENDING, "what was not sent has no answer"
    desk.approve(record.id, actor="li")
    for state in (OutcomeState.REFUSED, OutcomeState.DONE):
        desk.answered(Outcome(id=record.id, state=state, detail="why"))
    assert (desk.get(record.id).state, desk.get(record.id).comment) == (DeskState.REFUSED, "why")
    assert audit.actions.count("desk.answered") == 1


def test_nothing_is_reviewed_when_the_audit_log_cannot_be_written(
    desk: Desk, audit: MemoryAuditLog
) -> None:
    record = enter(desk)
    audit.broken = True
    with pytest.raises(Unavailable):
        desk.approve(record.id, actor="li")
    assert desk.get(record.id).state is DeskState.PENDING


# ---- the branch ---------------------------------------------------------------------------------


def test_the_branch_is_followed_wherever_it_goes(
    world: World, sqlite_database: Database, tmp_path, audit: MemoryAuditLog, clock: FakeClock
) -> None:

    database = databases.sqlite(tmp_path, "branch.sqlite3")
    store = SQLOrganisationStore(database)
    followed = FollowedBranch(store, transactions=database, audit=audit, clock=clock)

    def listed() -> list[tuple[str, str | None, bool]]:
        page = store.list_organisations(OrganisationQuery(), limit=100)
        return [(item.name, item.parent, item.closed_at is not None) for item in page.items]

    def follow() -> bool:
        return followed.follow(world.counter.branch(world.registrar))

    top, tree = world.registration.hangzhou, world.registration.organisations
    assert follow()
    assert listed() == [("杭州市", None, False), ("财政局", top.id, False)]
    assert not follow()
    assert "branch.followed" in audit.actions
    unit = world.registration.add(top.id, "county", "西湖区")
    tree.rename(world.registration.finance.id, "财政厅", actor="alice")
    tree.move(world.registration.finance.id, unit.id, actor="alice")
    assert follow()
    assert sorted(listed()) == sorted(
        [("杭州市", None, False), ("财政厅", unit.id, False), ("西湖区", top.id, False)]
    )
    tree.move(world.registration.finance.id, world.registration.ningbo.id, actor="alice")
    assert follow()
    assert ("财政厅", unit.id, True) in listed(), "closed: it is another branch's now"
    tree.move(world.registration.finance.id, top.id, actor="alice")
    assert follow()
    assert ("财政厅", top.id, False) in listed()
    with pytest.raises(Refused, match="another branch"):
        followed.follow(world.counter.branch(world.add("o", "cd" * 32, world.registration.root.id)))
    database.close()


# ---- carrying -----------------------------------------------------------------------------------


class Wire:
    """The other end, over nothing; it can break after it has done what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.breaks = answers, 0

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool) -> Any:
        assert repeatable, "whatever is carried may be carried again"
        answer = self.answers[path](body)
        if self.breaks:
            self.breaks -= 1
            raise Unavailable("the line is dead")
        return answer


class Followed:
    """A registration authority's copy of its branch, remembered only."""

    def __init__(self) -> None:
        self.branches: list[Branch] = []

    @property
    def known(self) -> str | None:
        return self.branches[-1].fingerprint if self.branches else None

    def follow(self, branch: Branch) -> None:
        self.branches.append(branch)


def asked_branch(world: World, asked: dict[str, Any]) -> Any:
    branch = world.counter.branch(world.registrar)
    return None if branch.fingerprint == asked["known"] else branch.model_dump(mode="json")


def test_an_answer_that_is_lost_is_asked_for_again(world: World, desk: Desk) -> None:
    wire = Wire(
        {
            "/ra/v1/branch": lambda asked: asked_branch(world, asked),
            "/ra/v1/acts": lambda act: world.perform(Act.model_validate(act)).model_dump(
                mode="json"
            ),
        }
    )
    request_id = enter(desk).id
    desk.approve(request_id, actor="li")
    followed = Followed()
    assert bring(desk, wire, followed) == 1
    assert followed.branches[0].places[0].name == "杭州市"
    other = enter(desk).id
    desk.approve(other, actor="li")
    wire.breaks = 2
    for _ in range(2):
        with pytest.raises(Unavailable):
            bring(desk, wire, followed)
    assert bring(desk, wire, followed) == 1
    assert len(followed.branches) == 1, "an unchanged branch is not sent again"
    assert desk.get(other).state is DeskState.DONE
    assert world.issued() == 2


def test_what_is_fetched_is_done_and_told(world: World, desk: Desk) -> None:
    told: list[dict[str, Any]] = []
    told_branch: list[Branch] = []

    def answer(outcome: dict[str, Any]) -> None:
        told.append(outcome)
        desk.answered(Outcome.model_validate(outcome))

    wire = Wire(
        {
            "/ra/v1/branch": lambda told: told_branch.append(Branch.model_validate(told)),
            "/ra/v1/outbox": lambda _: {
                "acts": [act.model_dump(mode="json") for act in desk.outbox(limit=4)],
                "known": None if not told_branch else told_branch[-1].fingerprint,
            },
            "/ra/v1/outcomes": answer,
        }
    )
    requests = [enter(desk).id for _ in range(6)]
    for request_id in requests:
        desk.approve(request_id, actor="li")
    branch = world.counter.branch(world.registrar)
    assert collect(world.perform, branch, wire) == 6
    assert {outcome["id"] for outcome in told} == set(requests)
    assert world.issued() == 6
    assert collect(world.perform, branch, wire) == 0
    assert told_branch == [branch], "an unchanged branch is not told again"


def test_a_freeze_that_waits_holds_back_what_comes_behind_it(world: World, desk: Desk) -> None:
    given = world.perform(apply())
    for operation in (Operation.FREEZE, Operation.UNFREEZE):
        desk.act(operation, given.issuer, given.serial, organisation=None, actor="wang")
    world.authority.audit.broken = True
    performed: list[Operation] = []

    def perform(act: Act) -> Outcome:
        performed.append(act.operation)
        return world.perform(act)

    acts = [act.model_dump(mode="json") for act in desk.outbox(limit=4)]
    wire = Wire(
        {
            "/ra/v1/branch": lambda _: None,
            "/ra/v1/outbox": lambda _: {"acts": acts, "known": None},
            "/ra/v1/outcomes": lambda _: None,
        }
    )
    assert collect(perform, world.counter.branch(world.registrar), wire) == 0
    assert performed == [Operation.FREEZE]


@pytest.mark.parametrize("answer", [None, {}, {"acts": [{}]}, {"acts": "x"}, [1]])
def test_nonsense_from_the_other_end_is_not_believed(world: World, answer: Any) -> None:
    wire = Wire({"/ra/v1/branch": lambda _: None, "/ra/v1/outbox": lambda _: answer})
    with pytest.raises(Unavailable, match="cannot be right"):
        collect(world.perform, world.counter.branch(world.registrar), wire)
