from __future__ import annotations

import pytest

from ca.codes import check_credit_code, check_identity_card, check_organisation_code
from core.errors import Malformed


@pytest.mark.parametrize(
    # What 腾讯, 阿里巴巴 and 华为 publish about themselves.
    "code",
    ["9144030071526726XG", "91330100799655058B", "914403001922038216"],
)
def test_real_credit_codes_are_accepted(code: str) -> None:
    assert check_credit_code(code) == code


@pytest.mark.parametrize("position", range(18))
def test_one_wrong_digit_of_a_credit_code_is_found(position: int) -> None:
    code = "914403001922038216"
    wrong = code[:position] + ("2" if code[position] != "2" else "3") + code[position + 1 :]
    with pytest.raises(Malformed, match=r"check digit|digits"):
        check_credit_code(wrong)


@pytest.mark.parametrize("code", ["330100", "330106001001", "914403001922038216"])
def test_an_organisation_has_a_division_code_or_a_credit_code(code: str) -> None:
    assert check_organisation_code(code) == code


@pytest.mark.parametrize("code", ["", "33010", "033010", "3301001", "33010a", "33010\uff10"])
def test_another_code_is_refused(code: str) -> None:
    with pytest.raises(Malformed, match="division code"):
        check_organisation_code(code)


def test_an_identity_card_number_has_a_check_digit_and_a_date() -> None:
    # The example of GB 11643-1999.
    assert check_identity_card("11010519491231002x") == "11010519491231002X"
    for wrong in ("110105194912310021", "110105194913310028", "11010519491231002", "x" * 18):
        with pytest.raises(Malformed) as refused:
            check_identity_card(wrong)
        assert wrong not in str(refused.value), "the number must not reach a log"
