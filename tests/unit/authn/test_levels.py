"""What a request says about `acr`, and what answers it."""

from __future__ import annotations

import json

import pytest

from authn import levels
from authn.levels import Level, joined, level_of, level_of_word
from authn.oidc.acr import demand_of
from authn.oidc.errors import InvalidRequest


def essential(**acr: object) -> dict[str, str]:
    return {"claims": json.dumps({"id_token": {"acr": {"essential": True, **acr}}})}


def test_levels_are_ordered_and_known_by_urn_and_word() -> None:
    assert Level.PASSWORD < Level.TWO_FACTORS < Level.CERTIFICATE < Level.HARDWARE_KEY
    for level in Level:
        assert level_of(level.acr) is level
        assert level_of_word(level.word) is level
    assert level_of("urn:other:acr") is None


def test_methods_add_up_without_repeating() -> None:
    both = joined(joined("", levels.PASSWORD.amr), levels.ONE_TIME_PASSWORD.amr)
    assert both == "pwd otp mfa"
    assert joined(both, levels.PASSKEY.amr) == "pwd otp mfa pop user"


def test_the_weakest_level_that_is_asked_for_will_do() -> None:
    demand = demand_of({"acr_values": f"{Level.HARDWARE_KEY.acr} x {Level.TWO_FACTORS.acr}"})
    assert (demand.least, demand.essential) == (Level.TWO_FACTORS, False)


def test_the_answer_is_a_level_that_was_asked_for_if_one_is_reached() -> None:
    demand = demand_of({"acr_values": f"{Level.PASSWORD.acr} {Level.CERTIFICATE.acr}"})
    assert demand.answered_by(Level.TWO_FACTORS) == Level.PASSWORD.acr
    assert demand.answered_by(Level.HARDWARE_KEY) == Level.CERTIFICATE.acr
    assert demand_of({}).answered_by(Level.HARDWARE_KEY) == Level.HARDWARE_KEY.acr


def test_an_essential_acr_is_told_from_a_voluntary_one() -> None:
    assert demand_of(essential(value=Level.CERTIFICATE.acr)).essential
    assert demand_of(essential(values=[Level.CERTIFICATE.acr])).least is Level.CERTIFICATE
    assert not demand_of(essential()).essential
    foreign = demand_of(essential(values=["urn:mace:incommon:iap:gold"]))
    assert (foreign.essential, foreign.levels) == (True, ())


@pytest.mark.parametrize(
    "claims", ["{", "[]", '{"id_token": 1}', '{"id_token":{"acr":{"essential":true,"values":1}}}']
)
def test_claims_of_another_form_are_refused(claims: str) -> None:
    with pytest.raises(InvalidRequest):
        demand_of({"claims": claims})
