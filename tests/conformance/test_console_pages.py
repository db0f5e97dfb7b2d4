"""Every page in Chromium: what axe-core says, how wide it is, what it asks for and from whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.console import ORIGIN, installation
from tests.integration.deskconsole import desk_installation
from tests.integration.everypage import SCRIPT, Everything
from tests.integration.test_desk_console import Apart
from tests.judges.window import Chromium, Window


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
        assert judge_all(person, Everything(*found)) > 60


def test_no_page_of_a_registration_authority_breaks_a_rule_of_axe(
    chromium: Chromium, tmp_path: Path
) -> None:
    """Those that are its own (decision 0236): the others are the authority's, to the line."""
    with desk_installation(tmp_path, SCRIPT) as found, chromium.window() as person:
        assert judge_all(person, Apart(*found)) > 12


def judge_all(person: Window, everything: Everything) -> int:
    """Show every page of an installation to the judge; return how many there were."""
    files, shown = everything.files(), everything.shown()
    for route, answer in shown.items():
        headers = {name: answer.headers[name] for name in SENT}
        # Chromium calls a refusal an error of the page, and it is a page as any other.
        person.show(answer.request.url.path, answer.text, headers=headers, files=files)
        assert person.judge() == [], route
    return len(shown)


SENT = ("content-type", "content-security-policy")
"""The headers that a page is judged with."""


def test_axe_and_the_ears_for_other_origins_can_say_no(chromium: Chromium) -> None:
    """The judge finds what is planted: a page of somebody else's making."""
    with chromium.window() as person:
        person.go("data:text/html,<main><img src='https://x.example/y'><p>x</main>")
        verdict = person.judge()
    assert any("image-alt" in one for one in verdict)
    assert any("leaves the origin: https://x.example/y" in one for one in verdict)
