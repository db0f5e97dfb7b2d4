from __future__ import annotations

from dataclasses import replace

import pytest

from ca.enrollment import EnrollmentService
from ca.idempotency import Idempotency
from ca.issuer import Issued, Issuer, Reserved
from ca.keycheck import spki_fingerprint
from ca.requests import Move, RequestState
from ca.sqlrequests import SQLRequestStore
from ca.store import CertificateQuery
from core.errors import (
    BackendUnavailable,
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    ProfileViolation,
    Refused,
)
from tests.unit.ca.conftest import Authority, request

KEY = Idempotency("k-1", "a" * 64)


def make_service(authority: Authority, **changes) -> EnrollmentService:
    direct = authority.profiles["device"].model_copy(
        update={"name": "direct", "needs_approval": False}
    )
    return EnrollmentService(
        **{
            "profiles": authority.profiles | {"direct": direct},
            "issuers": authority.issuers,
            "certificates": authority.store,
            "requests": SQLRequestStore(authority.database),
            "transactions": authority.database,
            "audit": authority.audit,
            "clock": authority.clock,
            **changes,
        }
    )


@pytest.fixture
def service(authority: Authority) -> EnrollmentService:
    return make_service(authority)


def submit(service: EnrollmentService, profile: str = "device", idempotency=None, **changes):
    return service.submit(
        request(**changes), profile=profile, issuer="sm2-issuing", idempotency=idempotency
    )


def issued_by(authority: Authority) -> int:
    query = CertificateQuery(issuer="sm2-issuing")
    return len(authority.store.search_certificates(query).items)


def test_a_request_waits_until_it_is_approved(
    authority: Authority, service: EnrollmentService
) -> None:
    waiting = submit(service)
    assert (waiting.state, waiting.serial, issued_by(authority)) == (RequestState.PENDING, None, 0)
    done = service.approve(waiting.id, actor="bob")
    assert (done.state, done.decided_by) == (RequestState.ISSUED, "bob")
    assert done.serial is not None
    assert authority.store.find_certificate("sm2-issuing", done.serial) is not None
    assert authority.audit.actions[-4:] == [
        "request.submitted",
        "request.approved",
        "certificate.signing",
        "certificate.issued",
    ]


def test_approving_again_gives_the_same_certificate(
    authority: Authority, service: EnrollmentService
) -> None:
    waiting = submit(service)
    first = service.approve(waiting.id, actor="bob")
    assert service.approve(waiting.id, actor="carol") == first
    assert issued_by(authority) == 1


def test_a_rejected_request_stays_rejected(service: EnrollmentService) -> None:
    waiting = submit(service)
    rejected = service.reject(waiting.id, actor="bob", reason="wrong department")
    assert (rejected.state, rejected.comment) == (RequestState.REJECTED, "wrong department")
    with pytest.raises(Conflict, match="is rejected"):
        service.approve(waiting.id, actor="bob")
    with pytest.raises(Conflict, match="is rejected"):
        service.reject(waiting.id, actor="bob", reason="again")


def test_two_people_when_the_settings_say_so(authority: Authority) -> None:
    service = make_service(authority, separate_approver=True)
    waiting = submit(service)
    with pytest.raises(Forbidden, match="two people"):
        service.approve(waiting.id, actor="alice")
    assert service.approve(waiting.id, actor="bob").state is RequestState.ISSUED


def test_what_would_not_be_issued_is_refused_at_once(
    authority: Authority, service: EnrollmentService
) -> None:
    with pytest.raises(ProfileViolation, match="requires CN"):
        submit(service, subject=(("C", "CN"),))
    with pytest.raises(ProfileViolation, match="not for requesters"):
        submit(service, "ocsp-signer")
    with pytest.raises(NotFound, match="profile"):
        submit(service, "nothing")
    with pytest.raises(NotFound, match="issuer"):
        service.submit(request(), profile="device", issuer="nobody")
    blocked = make_service(authority, blocked_keys={spki_fingerprint(request().spki)})
    with pytest.raises(Refused, match="blocked"):
        submit(blocked)
    assert service.list_requests().items == ()


def test_a_crash_between_approval_and_certificate_is_finished_by_approving_again(
    authority: Authority, service: EnrollmentService
) -> None:
    waiting = submit(service)
    now = authority.clock.now()
    # What a killed process leaves: decided, reserved, and nothing more.
    SQLRequestStore(authority.database).move(
        Move(waiting.id, (RequestState.PENDING,), RequestState.APPROVED, now, decided_by="bob")
    )
    prepared = authority.issuers["sm2-issuing"].prepare(
        request(request_id=waiting.id),
        profile=authority.profiles["device"],
        serial=1 << 158,
        now=now,
    )
    authority.store.reserve_all([prepared], now=now)
    with pytest.raises(Conflict, match="in 30 seconds"):
        service.approve(waiting.id, actor="bob")
    authority.clock.advance(seconds=31)
    done = service.approve(waiting.id, actor="bob")
    assert (done.serial, issued_by(authority)) == (1 << 158, 1)


def test_a_failed_signature_opens_the_request_again(
    authority: Authority, service: EnrollmentService
) -> None:
    waiting = submit(service)
    authority.keystore.broken = True
    with pytest.raises(BackendUnavailable):
        service.approve(waiting.id, actor="bob")
    assert service.get(waiting.id).state is RequestState.PENDING
    authority.keystore.broken = False
    assert service.approve(waiting.id, actor="bob").state is RequestState.ISSUED


def test_the_same_key_and_body_is_the_same_request(
    authority: Authority, service: EnrollmentService
) -> None:
    first = submit(service, idempotency=KEY)
    assert submit(service, idempotency=KEY) == first
    direct = replace(KEY, key="k-2")
    issued = submit(service, "direct", direct)
    assert issued.state is RequestState.ISSUED
    assert submit(service, "direct", direct) == issued
    assert issued_by(authority) == 1


def test_the_same_key_with_another_body_is_a_conflict(service: EnrollmentService) -> None:
    submit(service, idempotency=KEY)
    with pytest.raises(Conflict, match="another request body"):
        submit(service, idempotency=replace(KEY, body_hash="b" * 64))


def test_a_key_belongs_to_its_caller(service: EnrollmentService) -> None:
    first = submit(service, idempotency=KEY)
    assert submit(service, idempotency=KEY, requester="mallory").id != first.id


@pytest.mark.parametrize("key", ["", "a" * 129, "a b", "钥匙"])
def test_a_key_is_short_and_printable(service: EnrollmentService, key: str) -> None:
    with pytest.raises(Malformed):
        submit(service, idempotency=replace(KEY, key=key))


def test_a_repeated_call_takes_over_from_a_caller_that_crashed(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        authority.clock.advance(seconds=10)

    service = make_service(authority, wait=wait)

    serials = []

    def die(issuer: Issuer, reserved: Reserved) -> Issued:
        serials.append(reserved.serial)
        raise GeneratorExit  # what nothing catches: the kill

    with monkeypatch.context() as patch:
        patch.setattr(Issuer, "sign", die)
        with pytest.raises(GeneratorExit):
            submit(service, "direct", KEY)
    taken_over = submit(service, "direct", KEY)
    assert taken_over.state is RequestState.ISSUED
    assert [taken_over.serial] == serials
    assert len(waited) == 4
    assert issued_by(authority) == 1


def test_requests_are_listed_by_state_and_page(service: EnrollmentService) -> None:
    ids = [submit(service).id for _ in range(5)]
    service.approve(ids[0], actor="bob")
    page = service.list_requests(state=RequestState.PENDING, limit=3)
    rest = service.list_requests(state=RequestState.PENDING, limit=3, cursor=page.next_cursor)
    assert [r.id for r in (*page.items, *rest.items)] == ids[:0:-1]
    assert rest.next_cursor is None
    assert [r.id for r in service.list_requests(state=RequestState.ISSUED).items] == ids[:1]
    with pytest.raises(Malformed):
        service.list_requests(cursor="x")
