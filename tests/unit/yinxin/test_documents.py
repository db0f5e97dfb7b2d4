"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.relying_parties import __main__ as relying_parties
from yinxin.cli import main
from yinxin.console.words_audit import EVENTS
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
    for target, anchor in re.findall(
        r"\]\(([^)#]*)(?:#([^)]*))?\)", document.read_text(encoding="utf-8")
    ):
        if "://" not in target:
            there = document.parent / target if target else document
            assert there.exists(), target
            assert not anchor or anchor in _anchors(there), f"{target}#{anchor}"


def _anchors(document: Path) -> set[str]:
    """Return what GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}


def test_every_file_that_a_document_names_exists() -> None:
    named = re.compile(r"`((?:docs|scripts|tests|benchmarks)/[\w./-]+\w)`")
    missing = {
        f"{document.name}: {path}"
        for document in DOCUMENTS
        for path in named.findall(document.read_text(encoding="utf-8"))
        if not (ROOT / path).exists()
    }
    assert missing == set()


def test_every_measurement_and_relying_party_that_a_document_names_exists() -> None:
    text = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    modules = set(re.findall(r"-m (benchmarks[\w.]*\w)", text))
    assert len(modules) > 5
    places = [(name, ROOT / name.replace(".", "/")) for name in sorted(modules)]
    assert [
        name for name, at in places if not (at.is_dir() or at.with_suffix(".py").exists())
    ] == []
    lines = re.findall(r"scripts/judge-relying-parties ([a-z_ ]+)`", text)
    named = {name for line in lines for name in line.split()}
    assert named == set(relying_parties.ALL), "each is named, and none that is not there"


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


def test_every_option_that_a_document_shows_exists() -> None:
    wrong = {
        f"{document.name}: yinxin {line}: {option}"
        for document in DOCUMENTS
        for line in _shown_commands(document)
        for option in _unknown_options(line)
    }
    assert wrong == set()


def _shown_commands(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    # Up to a pipe, a comment, the end of a parenthesis or the next command.
    return re.findall(r"yinxin (?:--(?:state|config) \S+ )*([a-z][^`\n|>#);&]*)", text)


def _unknown_options(line: str) -> set[str]:
    context, command = click.Context(main), main
    for word in re.findall(r"(?<!\S)[a-z][a-z-]*", line):
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        if found is None:
            return set()  # prose, not a command
        command = found
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    return set(re.findall(r"(?<!\S)--[a-z][a-z-]*", line)) - known - {"--help"}


def test_every_setting_that_a_document_names_exists() -> None:
    known, section = set(), ""
    for line in describe_settings().splitlines():
        if heading := re.fullmatch(r"## \[([\w.]+)\]", line):
            section = heading[1]
            known.add(section)
        elif key := re.match(r"\| `(\w+)` \|", line):
            known.add(f"{section}.{key[1]}")
    first = "|".join({name.partition(".")[0] for name in known})
    wrong = {
        f"{document.name}: {name}"
        for document in DOCUMENTS
        if document.name not in _NAMES_OTHER_THINGS and document.parent.name != "decisions"
        for name in re.findall(
            rf"`\[{{0,2}}((?:{first})(?:\.[a-z]\w*)+)\]{{0,2}}(?: = [^`]*)?`",
            document.read_text(encoding="utf-8"),
        )
        if name not in known
        and not name.endswith(".pem")
        and not (ROOT / "/".join(name.split(".")[:2])).with_suffix(".py").exists()
    }
    assert wrong == set()


_NAMES_OTHER_THINGS = {"CHANGELOG.md", "audit-events.md"}
"""Settings that are gone; events, which are written like settings."""


def test_the_two_readmes_are_twins() -> None:
    """The same commands, settings, links and chapters; the Chinese one has Chinese pictures."""
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md")
    )
    linked = re.compile(r"\]\(([^)]+)\)")
    ours = {target.replace(".en.", ".zh.") for target in linked.findall(english)}
    theirs = set(linked.findall(chinese))
    assert ours - {"README.zh.md"} == theirs - {"README.md"}
    blocks = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
    said = [block for _, block in blocks.findall(chinese)]
    said = [text.replace("请求编号", "REQUEST_ID").replace("序列号", "SERIAL") for text in said]
    assert said == [block for _, block in blocks.findall(english)]
    heading = re.compile(r"^(?:#+|\d\.) ", re.MULTILINE)
    assert heading.findall(chinese) == heading.findall(english)


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
    assert EVENTS.keys() == written, "each is called something in Chinese"


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
