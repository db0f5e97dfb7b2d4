"""Two codes, one key, one certificate; and one sentence for everything that is wrong with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ca.config import PickupConfig
from ca.csr import CSR
from ca.enrollment import EnrollmentService
from ca.operations import Operation, Review, ReviewsOfProfiles
from ca.pickup import PickupDesk, PickupOffers
from ca.pickup_codes import Codes, digest, make_codes
from ca.requests import EnrollmentRecord, RequestState
from ca.resend import PickupResend
from ca.sqlpickup import SQLPickupStore
from ca.sqlrequests import SQLRequestStore
from ca.submission import Entry
from core.errors import BackendUnavailable, Conflict, Forbidden, Malformed, Refused, Throttled
from keystore.algorithms import KeyAlgorithm
from tests.fakes.clock import FakeClock
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.csrs import make_csr
from tests.unit.ca.pairs import key_management
from tests.unit.ca.test_enrollment import issued_by, make_service

SM2 = make_csr(subject=(("CN", "what the CSR says"),))
EC = make_csr(KeyAlgorithm.EC_P256)
CONFIG = PickupConfig(hours=24, failures_before_lock=3)


class MemoryThrottle:
    def __init__(self) -> None:
        self.charged: list[str] = []
        self.full = False

    def charge(self, address: str) -> None:
        if self.full:
            raise Throttled("too many attempts from your address", retry_after=3)
        self.charged.append(address)

    def refund(self, address: str) -> None:
        self.charged.remove(address)


class Rules(ReviewsOfProfiles):
    """As the profiles say, but for what a test wants reviewed."""

    reviewed: Operation | None = None

    def needed(self, operation: Operation, profile: str, organisation: str | None) -> Review:
        if operation is self.reviewed:
            return Review(review=True)
        return super().needed(operation, profile, organisation)


class World:
    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.rules = Rules(authority.profiles)
        store = SQLPickupStore(authority.database)
        common = {"audit": authority.audit, "clock": authority.clock}
        offers = PickupOffers(store, config=CONFIG, **common)
        common["transactions"] = authority.database
        self.throttle = MemoryThrottle()
        self.enrollment: EnrollmentService = make_service(
            authority, pickups=offers, reviews=self.rules, pairs=key_management(authority).pairs
        )
        self.resends = PickupResend(
            offers,
            self.enrollment._ledger,
            reviews=self.rules,
            transactions=authority.database,
            clock=authority.clock,
        )
        self.enrollment._execution._acts = {Operation.PICKUP_RESEND: self.resends.act}
        self.desk = PickupDesk(
            store,
            self.enrollment,
            throttle=self.throttle,
            config=CONFIG,
            accept_empty_sm2_id=False,
            **common,
        )

    def enter(self, profile: str = "device", **changes) -> EnrollmentRecord:
        wanted = request(**{"spki": b"", **changes})
        return self.enrollment.enter(Entry(wanted, profile, "sm2-issuing"))

    def offered(self, **changes) -> tuple[str, Codes]:
        record = self.enrollment.approve(self.enter(**changes).id, actor="bob")
        assert record.state is RequestState.AWAITING_PICKUP
        assert record.codes is not None
        return record.id, record.codes

    def collect(self, codes: Codes, csr: bytes = SM2, **changes) -> EnrollmentRecord:
        asked = replace(codes, **changes)
        return self.desk.collect(
            asked.reference, asked.code, csr, address="192.0.2.1", take=self.take
        )

    def take(self, request_id: str, csr: CSR) -> EnrollmentRecord:
        return self.enrollment.take_key(
            request_id,
            spki=csr.spki,
            temporary_key=csr.temporary_key,
            actor=f"subscriber:{request_id}",
        )

    def whys(self) -> list[object]:
        return [d["why"] for action, _, d in self.authority.audit.events if "refused" in action]


@pytest.fixture
def world(authority: Authority) -> World:
    return World(authority)


def test_codes_and_a_key_give_the_certificate_that_was_entered(world: World) -> None:
    request_id, codes = world.offered()
    done = world.collect(codes)
    assert (done.id, done.state) == (request_id, RequestState.ISSUED)
    assert done.made_by == f"subscriber:{request_id}"
    assert done.serial is not None
    record = world.authority.store.find_certificate("sm2-issuing", done.serial)
    assert record is not None
    assert record.subject == "CN=gateway.example.test,C=CN", "the CSR's own subject does not count"
    assert world.throttle.charged == [], "a right code is not counted"


def test_codes_are_shown_once_and_kept_as_digests(world: World) -> None:
    request_id, codes = world.offered()
    assert world.enrollment.get(request_id).codes is None
    found = SQLPickupStore(world.authority.database).lock_pickup(digest(codes.reference))
    assert found is not None
    for secret in (codes.code, codes.code.replace("-", ""), codes.reference.replace("-", "")):
        assert secret not in repr(world.authority.audit.events)
        assert secret.encode() not in found.code_digest + found.reference_digest
    assert "codes" not in repr(replace(world.enrollment.get(request_id), codes=codes))


def test_codes_are_read_however_they_are_typed(world: World) -> None:
    _, codes = world.offered()
    typed = codes.code.lower().replace("-", " ")
    assert world.collect(codes, code=typed).state is RequestState.ISSUED


@pytest.mark.parametrize("change", [{"code": "0000-0000-0000-0000"}, {"reference": "1"}])
def test_a_wrong_code_is_one_refusal(world: World, change: dict[str, str]) -> None:
    _, codes = world.offered()
    with pytest.raises(Forbidden, match="wrong, used, locked or expired"):
        world.collect(codes, **change)
    assert world.throttle.charged == ["192.0.2.1"]
    assert world.collect(codes).state is RequestState.ISSUED


def test_wrong_codes_lock_until_new_ones_are_sent(world: World) -> None:
    request_id, codes = world.offered()
    for _ in range(CONFIG.failures_before_lock):
        with pytest.raises(Forbidden):
            world.collect(codes, code="wrong")
    with pytest.raises(Forbidden):
        world.collect(codes)
    assert world.whys() == ["wrong code"] * 3 + ["locked"]
    again = world.resends.resend(request_id, actor="bob").codes
    assert again is not None
    with pytest.raises(Forbidden):
        world.collect(codes)
    assert world.collect(again).state is RequestState.ISSUED


def test_expired_codes_are_refused(world: World) -> None:
    _, codes = world.offered()
    world.authority.clock.advance(hours=24)
    with pytest.raises(Forbidden):
        world.collect(codes)
    assert world.whys() == ["expired"]
    assert issued_by(world.authority) == 0


def test_a_second_key_gets_nothing_and_the_first_gets_the_same_again(world: World) -> None:
    _, codes = world.offered()
    first = world.collect(codes)
    assert world.collect(codes) == first, "an answer may be lost"
    with pytest.raises(Forbidden, match="used"):
        world.collect(codes, EC)
    assert world.whys() == ["another key"]
    assert issued_by(world.authority) == 1


def test_of_two_keys_at_once_one_gets_the_certificate(world: World) -> None:
    _, codes = world.offered()

    def collect(csr: bytes) -> str:
        try:
            return world.collect(codes, csr).state
        except (Forbidden, Conflict) as error:
            return type(error).__name__

    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(collect, (SM2, EC)))
    assert said.count(RequestState.ISSUED) == 1
    assert issued_by(world.authority) == 1


def test_a_bad_csr_costs_no_code(world: World) -> None:
    _, codes = world.offered()
    with pytest.raises(Malformed):
        world.collect(codes, b"nonsense")
    assert world.whys() == []
    assert world.collect(codes).state is RequestState.ISSUED


def test_a_key_that_the_profile_does_not_take_costs_no_code(world: World) -> None:
    _, codes = world.offered(profile="device-dual-signing")
    with pytest.raises(Refused, match="takes keys of sm2"):
        world.collect(codes, EC)
    assert world.collect(codes).state is RequestState.ISSUED


def test_an_address_that_guesses_has_to_wait(world: World) -> None:
    _, codes = world.offered()
    world.throttle.full = True
    with pytest.raises(Throttled):
        world.collect(codes)
    assert world.whys() == [], "nothing was judged"


def test_a_failed_signature_leaves_the_codes_working(world: World) -> None:
    request_id, codes = world.offered()
    world.authority.keystore.broken = True
    with pytest.raises(BackendUnavailable):
        world.collect(codes)
    assert world.enrollment.get(request_id).state is RequestState.AWAITING_PICKUP
    world.authority.keystore.broken = False
    assert world.collect(codes).state is RequestState.ISSUED


def test_a_rejected_request_is_not_picked_up(world: World) -> None:
    request_id, codes = world.offered()
    world.enrollment.reject(request_id, actor="bob", reason="left the office")
    with pytest.raises(Conflict, match="rejected"):
        world.collect(codes)
    with pytest.raises(Conflict, match="does not wait"):
        world.resends.resend(request_id, actor="bob")


def test_sending_again_is_reviewed_where_the_rule_says_so(world: World) -> None:
    request_id, codes = world.offered()
    world.rules.reviewed = Operation.PICKUP_RESEND
    asked = world.resends.resend(request_id, actor="alice")
    assert (asked.state, asked.operation) == (RequestState.PENDING, Operation.PICKUP_RESEND)
    assert asked.codes is None
    approved = world.enrollment.approve(asked.id, actor="bob")
    assert approved.state is RequestState.DONE
    assert approved.codes is not None
    with pytest.raises(Forbidden):
        world.collect(codes)
    assert world.collect(approved.codes).id == request_id
    assert world.enrollment.approve(asked.id, actor="bob").codes is None, "shown once"


def test_a_profile_without_review_gives_codes_at_once(world: World) -> None:
    world.authority.profiles["device"] = world.authority.profiles["device"].model_copy(
        update={"needs_approval": False}
    )
    record = world.enter()
    assert record.state is RequestState.AWAITING_PICKUP
    assert record.codes is not None
    assert world.collect(record.codes).state is RequestState.ISSUED


def test_a_service_without_pickups_says_so(authority: Authority) -> None:
    service = make_service(authority)
    entered = service.submit(request(spki=b""), profile="device", issuer="sm2-issuing")
    with pytest.raises(Refused, match="no pick-up"):
        service.approve(entered.id, actor="bob")
    assert SQLRequestStore(authority.database).find_request(entered.id) == entered


def test_codes_are_random_and_easy_to_read() -> None:
    made = [make_codes(FakeClock().now()) for _ in range(50)]
    assert len({codes.code for codes in made} | {codes.reference for codes in made}) == 100
    assert all(len(digest(codes.code)) == 32 for codes in made)
    assert not set("".join(codes.code for codes in made)) & set("ILOU")
