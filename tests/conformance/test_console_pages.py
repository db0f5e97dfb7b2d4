"""Every page in Chromium: what axe-core says, how wide it is, what it asks for and from whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.console import ORIGIN, installation
from tests.integration.everypage import Everything
from tests.judges.window import Chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Nothing is served: pages are drawn in this process, and shown as if it were."""
    with Chromium(ORIGIN) as browser:
        yield browser


def test_no_page_breaks_a_rule_of_axe_or_leaves_the_origin(
    chromium: Chromium, tmp_path: Path
) -> None:
    """Every page of the console and the portal, at both widths and in both colours."""
    with installation(tmp_path) as found, chromium.window() as person:
        everything = Everything(*found)
        files, judged = everything.files(), 0
        for route, answer in everything.shown().items():
            headers = {name: answer.headers[name] for name in SENT}
            # Chromium calls a refusal an error of the page, and it is a page as any other.
            person.show(answer.request.url.path, answer.text, headers=headers, files=files)
            assert person.judge() == [], route
            judged += 1
    assert judged > 60


SENT = ("content-type", "content-security-policy")
"""The headers that a page is judged with."""


def test_axe_and_the_ears_for_other_origins_can_say_no(chromium: Chromium) -> None:
    """The judge finds what is planted: a page of somebody else's making."""
    with chromium.window() as person:
        person.go("data:text/html,<main><img src='https://x.example/y'><p>x</main>")
        verdict = person.judge()
    assert any("image-alt" in one for one in verdict)
    assert any("leaves the origin: https://x.example/y" in one for one in verdict)
