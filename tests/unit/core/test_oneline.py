"""Names that others vouch for, and rare ones."""

from __future__ import annotations

import pytest

from core.errors import Malformed
from core.oneline import one_line, seen


@pytest.mark.parametrize(
    "name", ["张伟", "买买提·阿不都拉", "𠀀𬬻", "\ue000", "O'Neill (HR)", "张 伟"]
)
def test_people_have_names_of_every_kind(name: str) -> None:
    assert one_line(f" {name} ", "the name", most=200) == name == seen(name)


def test_what_is_not_seen_is_refused_or_left_out() -> None:
    with pytest.raises(Malformed, match="the name has 1 to 200 characters on one line"):
        one_line("李\u202e娜", "the name", most=200)
    assert seen("\u200b李\u202e娜\r\n") == "李娜"
