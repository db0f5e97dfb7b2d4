"""Generations of an issuing CA: requesters name one issuer, the date says which key signs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from ca.issuance import issue_certificate
from ca.issuer import Issuer
from ca.issuers import Generations, Issuers
from ca.store import CertificateState
from core.errors import Unavailable
from tests.judges import openssl
from tests.unit.ca.conftest import URL, Authority, request
from tests.unit.ca.test_ceremony import ROLL_OVER, Desk, file


@pytest.fixture
def issuers(authority: Authority) -> Issuers:
    alive = Issuers(authority.store, authority.keystore, revocation_url=URL)
    authority.issuers = alive
    return alive


def roll_over(authority: Authority, days: int, **changes: str) -> None:
    at = (authority.clock.now() + timedelta(days=days)).isoformat()
    Desk(authority).run(file(ROLL_OVER, takes_over_at=at, **changes))
    authority.issuers.refresh()


def issue(authority: Authority, generations: Generations, **how) -> tuple[str, Issuer]:
    issuer = generations["sm2-issuing"]
    issued = issue_certificate(
        request(**how), profile=authority.profiles["device"], issuer=issuer, **authority.services
    )
    return issued.issuer, issuer


def test_the_next_generation_takes_over_at_its_date_without_a_restart(
    authority: Authority, issuers: Issuers
) -> None:
    generations = Generations(issuers, clock=authority.clock)
    roll_over(authority, days=2)
    assert issue(authority, generations)[0] == "sm2-issuing"
    authority.clock.advance(days=2)
    name, issuer = issue(authority, generations)
    assert name == issuer.name == "sm2-issuing-2"
    openssl.verify_path(*reversed(issuer.chain), issuer.certificate, sm2=True)


def test_requesters_name_the_issuer_and_never_a_generation(
    authority: Authority, issuers: Issuers
) -> None:
    roll_over(authority, days=1)
    generations = Generations(issuers, clock=authority.clock)
    assert "sm2-issuing-2" in issuers
    assert generations["sm2-issuing-2"].name == "sm2-issuing", "not before its time"
    assert set(generations) == {"sm2-root", "sm2-issuing", "rsa-root", "rsa-issuing"}
    assert len(generations) == 4
    assert [one.name for one in generations.family("sm2-issuing")] == [
        "sm2-issuing",
        "sm2-issuing-2",
    ]


def test_the_third_generation_follows_the_second(authority: Authority, issuers: Issuers) -> None:
    generations = Generations(issuers, clock=authority.clock)
    roll_over(authority, days=1)
    roll_over(authority, days=2, name='"sm2-issuing-3"', key='"memory:object=sm2-issuing-3"')
    names = []
    for _ in range(3):
        names.append(generations["sm2-issuing"].name)
        authority.clock.advance(days=1)
    assert names == ["sm2-issuing", "sm2-issuing-2", "sm2-issuing-3"]


def test_what_the_generation_before_reserved_is_finished_by_it(
    authority: Authority, issuers: Issuers, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations = Generations(issuers, clock=authority.clock)
    roll_over(authority, days=1)

    def killed(*_, **__):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(authority.store, "complete_all", killed)
        issue(authority, generations, request_id="r1")
    reserved = authority.store.find_by_request("r1")
    assert (reserved.state, reserved.issuer) == (CertificateState.RESERVED, "sm2-issuing")
    authority.clock.advance(days=1)
    assert generations["sm2-issuing"].name == "sm2-issuing-2"
    assert issue(authority, generations, request_id="r1")[0] == "sm2-issuing"
    finished = authority.store.find_by_request("r1")
    assert (finished.state, finished.tbs) == (CertificateState.ISSUED, reserved.tbs)


def test_a_refresh_keeps_what_did_not_change_and_tells_who_listens(
    authority: Authority, issuers: Issuers
) -> None:
    told: list[tuple[int, int]] = []
    issuers.listen(lambda coming: told.append((len(coming), len(issuers))))
    before = dict(issuers)
    issuers.refresh()
    assert told == [(4, 4)]
    roll_over(authority, days=1)
    # Before anybody can issue by it.
    assert told == [(4, 4), (5, 4)]
    assert len(issuers) == 5
    assert all(issuers[name] is issuer for name, issuer in before.items())


def test_who_could_not_take_a_new_issuer_in_is_told_again(
    authority: Authority, issuers: Issuers
) -> None:
    faults = [Unavailable("busy")]
    told: list[int] = []

    def listener(coming: Mapping[str, Issuer]) -> None:
        if len(coming) == 5 and faults:
            raise faults.pop()
        told.append(len(coming))

    issuers.listen(listener)
    with pytest.raises(Unavailable):
        roll_over(authority, days=1)
    assert (told, len(issuers)) == ([4], 4)
    issuers.refresh()
    assert (told, len(issuers)) == ([4, 5], 5)
