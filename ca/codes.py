"""Numbers with a check digit, as Chinese administrations write them. Pure functions."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from core.errors import Malformed

_CREDIT_DIGITS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_CODE: Final = re.compile(rf"[{_CREDIT_DIGITS}]{{2}}[0-9]{{6}}[{_CREDIT_DIGITS}]{{10}}")
_IDENTITY_CARD: Final = re.compile(r"[1-9][0-9]{16}[0-9X]")
_DIVISION: Final = re.compile(r"[1-9][0-9]{5}(?:[0-9]{6})?")


def check_credit_code(text: str) -> str:
    """Return a unified social credit code (统一社会信用代码). Raises `Malformed`."""
    if _CREDIT_CODE.fullmatch(text) is None:
        raise Malformed("a unified social credit code has 18 digits and capitals without I O S V Z")
    # GB 32100-2015, 4.6: weights are the powers of 3 modulo 31.
    total = sum(pow(3, i, 31) * _CREDIT_DIGITS.index(c) for i, c in enumerate(text[:17]))
    if _CREDIT_DIGITS[-total % 31] != text[17]:
        raise Malformed("the check digit of this unified social credit code is wrong (GB 32100)")
    return text


def check_organisation_code(text: str) -> str:
    """Return a division code (行政区划代码) or a unified social credit code. Raises `Malformed`."""
    if len(text) == 18:
        return check_credit_code(text)
    if _DIVISION.fullmatch(text) is None:
        raise Malformed(
            "an organisation's code is a division code of 6 or 12 digits (GB/T 2260), "
            "or a unified social credit code of 18 characters"
        )
    return text


def check_identity_card(text: str) -> str:
    """Return an identity card number (公民身份号码). Raises `Malformed`, never with the number."""
    folded = text.upper()
    if _IDENTITY_CARD.fullmatch(folded) is None:
        raise Malformed("an identity card number has 17 digits and a digit or X")
    try:
        date(int(folded[6:10]), int(folded[10:12]), int(folded[12:14]))
    except ValueError as error:
        raise Malformed("the date of birth in this identity card number is no date") from error
    # GB 11643-1999, 4: weights are the powers of 2 modulo 11 (ISO 7064, MOD 11-2).
    total = sum(pow(2, 17 - i, 11) * int(c) for i, c in enumerate(folded[:17]))
    if "0123456789X"[(1 - total) % 11] != folded[17]:
        raise Malformed("the check digit of this identity card number is wrong (GB 11643)")
    return folded
