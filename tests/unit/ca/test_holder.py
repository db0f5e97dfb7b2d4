"""Holders serve themselves with their key, and with nobody else's."""

from __future__ import annotations

import pytest

from ca.operations import Operation
from ca.reasons import RevocationReason
from ca.requests import EnrollmentRecord, RequestState
from ca.store import CertificateRecord, CertificateState
from core.errors import Conflict, Forbidden, NotFound, Refused, Throttled, Unauthenticated
from keystore.algorithms import KeyAlgorithm
from keystore.escrow.store import RecoveryKind
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.csrs import make_csr
from tests.unit.ca.pairs import HOLDER
from tests.unit.ca.test_replacement import World as Replacements
from tests.unit.ca.test_replacement import issue_pair

OWN = make_csr()
NEW = make_csr(KeyAlgorithm.EC_P256)
_S = CertificateState


class World(Replacements):
    def near(self, **changes) -> tuple[CertificateRecord, bytes]:
        """A certificate that may be renewed, and its octets."""
        old = self.issue(**changes)
        self.near_the_end(old)
        assert old.der is not None
        return old, old.der

    def by_key(self, old: CertificateRecord, csr: bytes = OWN) -> EnrollmentRecord:
        return self.desks.holders.renew_by_key(old.issuer, old.serial, csr, address="192.0.2.7")


@pytest.fixture
def world(authority: Authority) -> World:
    return World(authority)


@pytest.mark.parametrize("csr", [None, OWN])
def test_showing_the_certificate_renews_it(world: World, csr: bytes | None) -> None:
    old, shown = world.near()
    done = world.desks.holders.renew(shown, csr)
    assert (done.state, done.operation) == (RequestState.ISSUED, Operation.RENEW)
    assert done.requester == f"holder:sm2-issuing/{old.serial:040x}"
    again = world.desks.holders.renew(shown, csr)
    assert (again.id, again.serial) == (done.id, done.serial), "an answer may be lost"


def test_showing_the_certificate_with_a_new_key_rekeys_it(world: World) -> None:
    old, shown = world.near()
    done = world.desks.holders.renew(shown, NEW)
    assert done.operation is Operation.REKEY
    assert world.certificate(old.serial).state is _S.REVOKED
    assert world.desks.holders.renew(shown, NEW).serial == done.serial, "an answer may be lost"
    with pytest.raises(Conflict, match="another key"):
        world.desks.holders.renew(shown, None)


def test_a_csr_of_the_key_renews_without_tls_and_once(world: World) -> None:
    old, _ = world.near()
    done = world.by_key(old)
    assert (done.state, done.operation) == (RequestState.ISSUED, Operation.RENEW)
    assert world.by_key(old).serial == done.serial
    assert world.certificate(done.serial).spki_fingerprint == old.spki_fingerprint


def test_a_csr_of_another_key_renews_nothing(world: World) -> None:
    old, _ = world.near()
    with pytest.raises(Forbidden, match="not signed with the key"):
        world.by_key(old, NEW)
    with pytest.raises(Forbidden, match="not signed with the key"):
        world.desks.holders.renew_by_key("sm2-issuing", 1 << 150, OWN, address="192.0.2.7")
    assert world.desks.replacements.find_successor(old) is None


def test_guessing_serial_numbers_is_slowed_down(world: World) -> None:
    with pytest.raises(Throttled):
        for _ in range(50):
            with pytest.raises(Forbidden):
                world.desks.holders.renew_by_key("sm2-issuing", 1 << 150, OWN, address="192.0.2.7")


def test_self_service_keeps_to_the_window(world: World) -> None:
    old = world.issue()
    assert old.der is not None
    for csr in (None, NEW):
        with pytest.raises(Refused, match="it can be renewed from"):
            world.desks.holders.renew(old.der, csr)
    with pytest.raises(Refused, match="it can be renewed from"):
        world.by_key(old)


def test_where_it_is_reviewed_the_holder_asks_again_later(world: World) -> None:
    _, shown = world.near(profile="device")
    waiting = world.desks.holders.renew(shown, None)
    assert waiting.state is RequestState.PENDING
    assert world.desks.deliveries.of(waiting).certificate is None
    world.enrollment.approve(waiting.id, actor="bob")
    given = world.desks.deliveries.of(world.desks.holders.renew(shown, None))
    assert given.certificate is not None


def test_a_revoked_held_or_foreign_certificate_serves_nobody(world: World) -> None:
    old, shown = world.near()
    world.made.revocation.hold("sm2-issuing", old.serial, actor="bob")
    with pytest.raises(Forbidden, match="is held"):
        world.desks.holders.renew(shown, None)
    with pytest.raises(Conflict, match="is held"):
        world.by_key(old)
    world.made.revocation.revoke(
        "sm2-issuing", old.serial, RevocationReason.KEY_COMPROMISE, actor="b"
    )
    with pytest.raises(Forbidden, match="is revoked"):
        world.desks.holders.certificates(shown)
    with pytest.raises(Unauthenticated, match="not one of this authority"):
        world.desks.holders.certificates(b"another authority's")


def test_an_escrowed_key_is_no_proof_of_being_the_holder(world: World) -> None:
    _, signing, encryption = issue_pair(world)
    world.near_the_end(signing)
    assert encryption.der is not None
    for ask in (
        lambda: world.desks.holders.renew(encryption.der, None),
        lambda: world.desks.holders.certificates(encryption.der),
    ):
        with pytest.raises(Forbidden, match="show the signing certificate"):
            ask()


def test_a_holder_sees_the_certificates_of_the_same_subject_and_no_namesake(world: World) -> None:
    mine = [world.issue(subject_id="a" * 32) for _ in range(2)]
    theirs = world.issue(subject_id="b" * 32)
    assert mine[0].der is not None
    seen = world.desks.holders.certificates(mine[0].der)
    assert [one.serial for one in seen] == [mine[1].serial, mine[0].serial]
    for act in (world.desks.holders.report_lost, world.desks.holders.recoveries):
        with pytest.raises(NotFound, match="you have no certificate"):
            act(mine[0].der, "sm2-issuing", theirs.serial)


def test_without_a_subject_it_is_the_chain_of_replacements(world: World) -> None:
    old, shown = world.near()
    world.issue()
    new = world.desks.holders.renew(shown, None)
    seen = world.desks.holders.certificates(shown)
    assert [one.serial for one in seen] == [new.serial, old.serial]


def test_a_holder_freezes_at_once_and_an_operator_looks_at_it(world: World) -> None:
    record = world.issue()
    assert record.der is not None
    asked = world.desks.holders.report_lost(record.der, "sm2-issuing", record.serial)
    assert (asked.state, asked.provisional) == (RequestState.PENDING, True)
    assert world.certificate(record.serial).state is _S.HELD


def test_a_holder_sees_every_recovery_of_the_key(world: World) -> None:
    _, signing, encryption = issue_pair(world)
    assert signing.der is not None
    world.km.recoveries.request(
        RecoveryKind.JUDICIAL,
        fingerprint=encryption.spki_fingerprint,
        recipient=HOLDER.public_key,
        reason="order 17",
        actor="court",
    )
    for half in (signing, encryption):
        found = world.desks.holders.recoveries(signing.der, "sm2-issuing", half.serial)
        assert [one.kind for one in found] == [RecoveryKind.JUDICIAL]
    other = world.issue("device", spki=request(KeyAlgorithm.EC_P256).spki)
    assert other.der is not None
    assert world.desks.holders.recoveries(other.der, "sm2-issuing", other.serial) == ()
