"""Freeze, unfreeze, revoke where a rule wants a review; and a loss, which waits for nobody."""

from __future__ import annotations

import pytest

from ca.operations import Operation, Review, ReviewsOfProfiles
from ca.reasons import RevocationReason
from ca.requests import EnrollmentRecord, RequestState
from ca.store import CertificateRecord, CertificateState
from core.errors import Conflict, Forbidden, NotFound, Refused
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.desks import operations
from tests.unit.ca.pairs import HOLDER

_S = CertificateState


class Rules(ReviewsOfProfiles):
    """Every change of status of these profiles is reviewed."""

    reviewed = ("direct", "device-dual-signing")

    def needed(self, operation: Operation, profile: str, organisation: str | None) -> Review:
        if operation in (Operation.FREEZE, Operation.UNFREEZE, Operation.REVOKE):
            return Review(profile in self.reviewed)
        return Review(review=False)


class World:
    def __init__(self, authority: Authority, **settings) -> None:
        self.authority = authority
        made = operations(authority, Rules(authority.profiles), **settings)
        self.enrollment, self.statuses = made.enrollment, made.desks.statuses
        self.settlement, self.revocation = made.desks.settlement, made.revocation

    def issue(self, profile: str = "direct", **changes) -> CertificateRecord:
        done = self.enrollment.submit(request(**changes), profile=profile, issuer="sm2-issuing")
        assert done.serial is not None
        return self.certificate(done.serial)

    def certificate(self, serial: int) -> CertificateRecord:
        found = self.authority.store.find_certificate("sm2-issuing", serial)
        assert found is not None
        return found

    def state(self, record: CertificateRecord) -> CertificateState:
        return self.certificate(record.serial).state

    def ask(self, operation: Operation, record: CertificateRecord, reason=None):
        return self.statuses.change(
            operation, record.issuer, record.serial, actor="alice", reason=reason
        )


@pytest.fixture
def world(authority: Authority) -> World:
    return World(authority)


def test_without_a_rule_the_status_changes_at_once(world: World) -> None:
    record = world.issue("device")
    done = world.ask(Operation.FREEZE, record)
    assert isinstance(done, CertificateRecord)
    assert (done.state, world.enrollment.list_requests().items[0].operation) == (
        _S.HELD,
        Operation.APPLY,
    )


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        (Operation.FREEZE, _S.ISSUED, _S.HELD),
        (Operation.UNFREEZE, _S.HELD, _S.ISSUED),
        (Operation.REVOKE, _S.ISSUED, _S.REVOKED),
    ],
)
def test_where_a_rule_says_so_it_waits_for_its_review(
    world: World, operation: Operation, before: CertificateState, after: CertificateState
) -> None:
    record = world.issue()
    if before is _S.HELD:
        world.revocation.hold(record.issuer, record.serial, actor="x")
    reason = RevocationReason.SUPERSEDED if operation is Operation.REVOKE else None
    asked = world.ask(operation, record, reason)
    assert isinstance(asked, EnrollmentRecord)
    assert (asked.state, asked.operation) == (RequestState.PENDING, operation)
    assert world.state(record) is before
    assert world.ask(operation, record, reason) == asked, "asked twice, it is one request"
    done = world.enrollment.approve(asked.id, actor="bob")
    assert (done.state, world.state(record)) == (RequestState.DONE, after)
    assert world.enrollment.approve(asked.id, actor="bob") == done
    assert world.certificate(record.serial).reason is (
        reason or (RevocationReason.CERTIFICATE_HOLD if after is _S.HELD else None)
    )


def test_a_rejected_change_changes_nothing(world: World) -> None:
    record = world.issue()
    asked = world.ask(Operation.REVOKE, record, RevocationReason.SUPERSEDED)
    world.enrollment.reject(asked.id, actor="bob", reason="no")
    assert world.state(record) is _S.ISSUED
    with pytest.raises(Conflict, match="is rejected"):
        world.enrollment.approve(asked.id, actor="bob")
    assert world.ask(Operation.REVOKE, record, RevocationReason.SUPERSEDED).id != asked.id


def test_what_cannot_be_done_is_refused_before_anybody_reviews_it(world: World) -> None:
    record = world.issue()
    with pytest.raises(Conflict, match="unfreeze does not fit"):
        world.revocation.revoke(
            record.issuer, record.serial, RevocationReason.SUPERSEDED, actor="x"
        )
        world.ask(Operation.UNFREEZE, record)
    with pytest.raises(Refused, match="use hold"):
        world.ask(Operation.REVOKE, world.issue(), RevocationReason.CERTIFICATE_HOLD)
    with pytest.raises(NotFound):
        world.statuses.change(Operation.FREEZE, "sm2-issuing", 1 << 150, actor="alice")


def test_a_rule_for_a_pair_is_not_gone_around_by_its_other_half(world: World) -> None:
    signing = world.issue("device-dual-signing", spki=HOLDER.public_key)
    other = world.authority.store.find_by_request(f"{signing.request_id}.encryption")
    assert other is not None
    asked = world.ask(Operation.REVOKE, other, RevocationReason.SUPERSEDED)
    assert isinstance(asked, EnrollmentRecord)
    assert world.state(other) is _S.ISSUED
    world.enrollment.approve(asked.id, actor="bob")
    assert (world.state(signing), world.state(other)) == (_S.REVOKED, _S.REVOKED)


def test_a_change_that_failed_waits_again(world: World) -> None:
    record = world.issue()
    asked = world.ask(Operation.FREEZE, record)
    world.revocation.revoke(record.issuer, record.serial, RevocationReason.SUPERSEDED, actor="x")
    with pytest.raises(Conflict, match="only an issued certificate"):
        world.enrollment.approve(asked.id, actor="bob")
    assert world.enrollment.get(asked.id).state is RequestState.PENDING


def test_the_requester_does_not_approve_the_own_change(authority: Authority) -> None:
    world = World(authority, separate_approver=True)
    asked = world.ask(Operation.FREEZE, world.issue())
    with pytest.raises(Forbidden, match="two people"):
        world.enrollment.approve(asked.id, actor="alice")


# ---- loss ---------------------------------------------------------------------------------------


def report(world: World, record: CertificateRecord) -> EnrollmentRecord:
    return world.statuses.report_lost(record.issuer, record.serial, actor="alice")


def test_a_loss_freezes_at_once_and_the_review_keeps_it(world: World) -> None:
    record = world.issue()
    asked = report(world, record)
    assert (asked.state, asked.provisional) == (RequestState.PENDING, True)
    assert world.state(record) is _S.HELD
    assert report(world, record).id == asked.id
    done = world.enrollment.approve(asked.id, actor="bob")
    assert (done.state, world.state(record)) == (RequestState.DONE, _S.HELD)


def test_a_loss_that_was_none_is_released_by_its_rejection(world: World) -> None:
    record = world.issue()
    asked = report(world, record)
    world.enrollment.reject(asked.id, actor="bob", reason="found in the drawer")
    assert world.state(record) is _S.ISSUED
    assert world.settlement.settle_due() == 0


def test_a_release_that_a_crash_cut_off_is_done_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.issue()
    asked = report(world, record)
    with monkeypatch.context() as patch:
        patch.setattr(world.enrollment, "_settle", lambda one: None)  # the kill
        world.enrollment.reject(asked.id, actor="bob", reason="found")
    assert world.state(record) is _S.HELD
    assert world.settlement.settle_due() == 1
    assert world.state(record) is _S.ISSUED


def test_what_was_frozen_before_stays_so_when_a_report_is_rejected(world: World) -> None:
    record = world.issue()
    world.revocation.hold(record.issuer, record.serial, actor="court")
    asked = report(world, record)
    world.enrollment.reject(asked.id, actor="bob", reason="not lost")
    assert world.state(record) is _S.HELD


def test_a_revoked_certificate_is_not_reported_lost(world: World) -> None:
    record = world.issue()
    world.revocation.revoke(record.issuer, record.serial, RevocationReason.SUPERSEDED, actor="x")
    with pytest.raises(Conflict, match="nothing to freeze"):
        report(world, record)
