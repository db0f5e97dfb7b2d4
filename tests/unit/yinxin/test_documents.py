"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from yinxin.cli import main
from yinxin.describe import describe_settings

ROOT = Path(__file__).parents[3]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_the_reference_of_settings_is_up_to_date() -> None:
    written = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert written == describe_settings(), "run: yinxin config --describe > docs/configuration.md"


def test_every_setting_says_what_it_means() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", describe_settings(), re.MULTILINE)
    assert len(rows) > 40
    assert [name for name, meaning in rows if not meaning.strip()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_file_that_a_document_names_exists() -> None:
    named = re.compile(r"`((?:docs|scripts|tests|benchmarks)/[\w./-]+\w)`")
    missing = {
        f"{document.name}: {path}"
        for document in DOCUMENTS
        for path in named.findall(document.read_text(encoding="utf-8"))
        if not (ROOT / path).exists()
    }
    assert missing == set()


def test_every_command_that_a_document_shows_exists() -> None:
    shown = {
        command
        for document in DOCUMENTS
        for command in re.findall(
            r"yinxin ((?:--\w+ \S+ )?[a-z]+(?: [a-z-]+)?)", document.read_text(encoding="utf-8")
        )
    }
    assert "audit verify" in shown
    context = click.Context(main)
    found = [main.get_command(context, name) for name in main.list_commands(context)]
    for group in (item for item in found if hasattr(item, "commands")):
        for command in shown:
            first, _, second = command.partition(" ")
            if first == group.name and second:
                assert second in group.commands, command


def test_every_audit_event_is_described_and_none_that_is_not_written() -> None:
    written = _constants(r'"([a-z-]+\.[a-z]+)",?\s*(?:actor=|if |else )') | _constants(
        r'else "([a-z]+\.[a-z]+)"'
    )
    written |= _constants(r'Event\(\s*"([a-z-]+\.[a-z]+)"')
    # Names made of a state; the set of states is closed.
    written |= _constants(r'"(bulk\.[a-z]+)"')
    written |= {"certificate.revoked", "certificate.held", "certificate.released"}
    written |= {f"organisation.{kind}" for kind in ("renamed", "moved", "closed")}
    assert _first_column("audit-events.md") == written


def test_every_metric_is_described_and_none_that_is_not_counted() -> None:
    declared = "".join(
        (ROOT / path).read_text(encoding="utf-8")
        for path in ("core/observe.py", "crl/ocsp/counts.py")
    )
    assert _first_column("metrics.md") == set(re.findall(r'"(yinxin_\w+)"', declared))


def _constants(pattern: str) -> set[str]:
    packages = ("core", "keystore", "ca", "crl", "authn")
    sources = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    return {
        name for path in sources for name in re.findall(pattern, path.read_text(encoding="utf-8"))
    }


def _first_column(document: str) -> set[str]:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([\w.-]+)` \|", text, re.MULTILINE))


def test_every_test_that_a_document_names_exists() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md"))
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text))
    assert len(named) > 50
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []
