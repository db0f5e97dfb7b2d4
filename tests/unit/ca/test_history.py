"""The whole history of a certificate, through renewals, holds, reviews and recoveries."""

from __future__ import annotations

import pytest

from ca.operations import Operation
from ca.reasons import RevocationReason
from ca.store import CertificateState
from core.errors import NotFound, Unavailable
from tests.unit.ca.conftest import Authority
from tests.unit.ca.pairs import HOLDER
from tests.unit.ca.test_replacement import NEW_KEY, World, issue_pair

_S = CertificateState


@pytest.fixture
def world(authority: Authority) -> World:
    return World(authority)


def test_a_chain_of_certificates_is_told_from_each_of_them(world: World) -> None:
    first = world.issue()
    second = world.certificate(world.replace(first, Operation.REKEY, NEW_KEY).serial)
    world.near_the_end(second)
    third = world.certificate(world.replace(second, Operation.RENEW).serial)
    chain = [first.serial, second.serial, third.serial]
    for place, serial in enumerate(chain):
        told = world.desks.history.of("sm2-issuing", serial)
        assert [one.serial for one in told.before] == chain[:place][::-1]
        assert [one.serial for one in told.after] == chain[place + 1 :]
        assert told.request is not None
        assert told.request.serial == serial
    told = world.desks.history.of("sm2-issuing", first.serial)
    assert [(e.state, e.reason) for e in told.events] == [(_S.REVOKED, RevocationReason.SUPERSEDED)]
    assert [one.operation for one in told.requests] == [Operation.REKEY]


def test_a_pair_is_told_whole_from_either_half(world: World) -> None:
    request_id, signing, encryption = issue_pair(world)
    world.made.revocation.hold("sm2-issuing", signing.serial, actor="carol")
    world.made.revocation.release("sm2-issuing", signing.serial, actor="dave")
    world.km.pairs.request_recovery(
        request_id, issuer="sm2-issuing", serial=signing.serial, reason="lost", actor="alice"
    )
    told = world.desks.history.of("sm2-issuing", encryption.serial)
    assert told.certificate.serial == signing.serial
    assert told.partner is not None
    assert told.partner.serial == encryption.serial
    assert told.request is not None
    assert (told.request.requester, told.request.decided_by) == ("alice", "bob")
    assert [(e.state, e.actor) for e in told.events] == [(_S.HELD, "carol"), (_S.ISSUED, "dave")]
    assert told.recoveries is not None
    assert [one.requester for one in told.recoveries] == ["alice"]


def test_a_centre_that_is_away_leaves_the_rest_of_the_history(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("the key management centre cannot be reached")

    _, signing, _ = issue_pair(world)
    monkeypatch.setattr(world.made.pairs._recovery, "list_of_key", away)
    told = world.desks.history.of("sm2-issuing", signing.serial)
    assert told.recoveries is None
    assert told.partner is not None


def test_what_never_was_has_no_history(world: World) -> None:
    with pytest.raises(NotFound):
        world.desks.history.of("sm2-issuing", 1 << 150)


def test_every_recovery_of_a_key_is_listed_the_judicial_ones_too(world: World) -> None:
    request_id, _, encryption = issue_pair(world)
    for officer in ("court-1", "court-2"):
        world.km.recoveries.request(
            "judicial",
            fingerprint=encryption.spki_fingerprint,
            recipient=HOLDER.public_key,
            reason="order",
            actor=officer,
        )
    found = world.km.pairs.list_recoveries(request_id)
    assert [one.requester for one in found] == ["court-2", "court-1"]
    assert world.km.pairs.list_recoveries("0" * 32) == ()
