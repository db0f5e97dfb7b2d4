"""Entry, review, make: three people, one certificate, and a helpful no for everybody else."""

from __future__ import annotations

import pytest

from ca.enrollment import EnrollmentService
from ca.operations import Operation
from ca.requests import EnrollmentRecord, Move, RequestState
from ca.sqlrequests import SQLRequestStore
from ca.submission import Entry
from core.errors import BackendUnavailable, Conflict, Forbidden, Refused
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.test_enrollment import issued_by, make_service

OTHER_KEY = memory_key(KeyAlgorithm.EC_P256).key.public_key


@pytest.fixture
def service(authority: Authority) -> EnrollmentService:
    authority.profiles["made"] = authority.profiles["device"].model_copy(
        update={"name": "made", "needs_make": True}
    )
    return make_service(authority)


def enter(service: EnrollmentService, **changes) -> EnrollmentRecord:
    return service.enter(Entry(request(**changes), "made", "sm2-issuing"))


def test_what_is_reviewed_waits_for_another_operator_to_make_it(
    authority: Authority, service: EnrollmentService
) -> None:
    entered = enter(service)
    assert (entered.operation, entered.needs_make) == (Operation.APPLY, True)
    with pytest.raises(Conflict, match="waits for its review"):
        service.make(entered.id, actor="carol")
    assert service.approve(entered.id, actor="bob").state is RequestState.REVIEWED
    assert issued_by(authority) == 0
    with pytest.raises(Conflict, match="another operator to make it"):
        service.approve(entered.id, actor="carol")
    made = service.make(entered.id, actor="carol")
    assert (made.state, made.decided_by, made.made_by) == (RequestState.ISSUED, "bob", "carol")
    assert service.make(entered.id, actor="dave") == made
    assert authority.audit.actions[-5:] == [
        "request.submitted",
        "request.approved",
        "request.made",
        "certificate.signing",
        "certificate.issued",
    ]


def test_the_reviewer_does_not_make_and_the_requester_only_where_nobody_minds(
    authority: Authority, service: EnrollmentService
) -> None:
    entered = enter(service)
    service.approve(entered.id, actor="bob")
    with pytest.raises(Forbidden, match="who reviewed"):
        service.make(entered.id, actor="bob")
    strict = make_service(authority, separate_approver=True)
    with pytest.raises(Forbidden, match="requester and maker"):
        strict.make(entered.id, actor="alice")
    assert service.make(entered.id, actor="alice").state is RequestState.ISSUED


def test_a_request_without_a_make_step_says_so(service: EnrollmentService) -> None:
    entered = service.submit(request(), profile="device", issuer="sm2-issuing")
    with pytest.raises(Conflict, match="no make step"):
        service.make(entered.id, actor="carol")


def test_what_was_reviewed_can_still_be_rejected(service: EnrollmentService) -> None:
    entered = enter(service)
    service.approve(entered.id, actor="bob")
    assert service.reject(entered.id, actor="bob", reason="no").state is RequestState.REJECTED
    with pytest.raises(Conflict, match="is rejected"):
        service.make(entered.id, actor="carol")


def test_the_maker_brings_the_key_of_the_medium(
    authority: Authority, service: EnrollmentService
) -> None:
    entered = enter(service, spki=b"")
    service.approve(entered.id, actor="bob")
    with pytest.raises(Refused, match="send the CSR of the medium"):
        service.make(entered.id, actor="carol")
    key = request().spki
    done = service.make(entered.id, actor="carol", spki=key)
    assert done.serial is not None
    record = authority.store.find_certificate("sm2-issuing", done.serial)
    assert record is not None
    assert key in record.tbs


def test_a_key_that_the_profile_does_not_take_leaves_the_request_as_it_is(
    authority: Authority, service: EnrollmentService
) -> None:
    authority.profiles["made"] = authority.profiles["made"].model_copy(
        update={"key_algorithms": (KeyAlgorithm.SM2,)}
    )
    strict = make_service(authority)
    entered = enter(strict, spki=b"")
    strict.approve(entered.id, actor="bob")
    with pytest.raises(Refused, match="takes keys of sm2"):
        strict.make(entered.id, actor="carol", spki=OTHER_KEY)
    assert strict.make(entered.id, actor="carol", spki=request().spki).serial is not None


def test_a_request_has_one_key_for_ever(authority: Authority, service: EnrollmentService) -> None:
    entered = enter(service, spki=b"")
    service.approve(entered.id, actor="bob")
    authority.keystore.broken = True
    with pytest.raises(BackendUnavailable):
        service.make(entered.id, actor="carol", spki=request().spki)
    authority.keystore.broken = False
    assert service.get(entered.id).state is RequestState.REVIEWED
    with pytest.raises(Conflict, match="another key"):
        service.make(entered.id, actor="carol", spki=OTHER_KEY)
    assert service.make(entered.id, actor="carol", spki=request().spki).serial is not None


def test_a_key_given_twice_is_refused(service: EnrollmentService) -> None:
    entered = enter(service)
    service.approve(entered.id, actor="bob")
    with pytest.raises(Refused, match="has its key already"):
        service.make(entered.id, actor="carol", spki=OTHER_KEY)


def test_a_crash_of_the_maker_is_finished_by_making_again(
    authority: Authority, service: EnrollmentService
) -> None:
    entered = enter(service)
    service.approve(entered.id, actor="bob")
    now = authority.clock.now()
    SQLRequestStore(authority.database).move(
        Move(entered.id, (RequestState.REVIEWED,), RequestState.APPROVED, now, made_by="carol")
    )
    with pytest.raises(Conflict, match="in 30 seconds"):
        service.make(entered.id, actor="carol")
    authority.clock.advance(seconds=31)
    assert service.make(entered.id, actor="carol").state is RequestState.ISSUED
    assert issued_by(authority) == 1


def test_what_is_wrong_without_a_key_is_refused_at_entry(service: EnrollmentService) -> None:
    with pytest.raises(Refused, match="requires CN"):
        enter(service, spki=b"", subject=(("C", "CN"),))
    with pytest.raises(Refused, match="days"):
        enter(service, spki=b"", validity_days=36_000)
