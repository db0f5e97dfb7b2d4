from __future__ import annotations

from tests.unit.ca.specification import DOCUMENT, MARK, tables


def test_the_certificate_specification_is_what_the_profiles_say() -> None:
    _, mark, rest = DOCUMENT.read_text(encoding="utf-8").partition(MARK)
    assert mark + rest == tables(), "run: python -m tests.unit.ca.specification"
