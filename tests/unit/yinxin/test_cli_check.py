"""``yinxin check`` on a state directory: what it prints, where it stops, and how it goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import yinxin.check
from ca.check_fault import KINDS
from ca.serials import to_hex
from ca.sqlcheck import Row, SQLCheckSource
from core.db import open_database
from core.errors import Unavailable
from tests.contract.test_check import World
from yinxin.cli import main
from yinxin.schema import upgrade
from yinxin.state import State

DOCUMENT = Path(__file__).parents[3] / "docs" / "check.md"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    directory = tmp_path_factory.mktemp("state")
    (directory / "keystore").mkdir()
    database = open_database(State(directory).database_url)
    upgrade(database)
    made = World(database)
    made.directory = directory
    return made


@pytest.fixture
def damaged(world: World):
    world.set(world.device, subject="CN=x")
    yield to_hex(world.device.serial)
    world.set(world.device, subject="CN=device,C=CN")


def run(world: World, *words: str | Path) -> Result:
    return CliRunner().invoke(main, ["--state", str(world.directory), "check", *map(str, words)])


def test_a_healthy_state_is_said_to_be_so(world: World) -> None:
    said = run(world)
    assert (said.exit_code, said.output) == (0, "11 rows checked: no fault\n")


def test_every_fault_has_a_line_and_the_exit_code_says_so(world: World, damaged: str) -> None:
    said = run(world)
    assert said.exit_code == 1
    assert said.output.splitlines() == [
        f"subject sm2-issuing/{damaged}: the certificate's is CN=device,C=CN",
        "11 rows checked: 1 subject",
    ]


def test_programs_get_one_object_a_line(world: World, damaged: str) -> None:
    said = run(world, "--json")
    assert json.loads(said.stdout) == {
        "kind": "subject",
        "issuer": "sm2-issuing",
        "serial": damaged,
        "sentence": "the certificate's is CN=device,C=CN",
    }


def test_a_kind_can_be_ignored(world: World, damaged: str) -> None:
    assert run(world, "--ignore", "subject").exit_code == 0
    assert run(world, "--ignore", "key").exit_code == 1
    assert run(world, "--ignore", "nonsense").exit_code == 2


def test_old_certificates_can_be_left_out(world: World, damaged: str) -> None:
    said = run(world, "--since", "2030-01-01")
    assert (said.exit_code, said.output) == (0, "0 rows checked: no fault\n")
    assert run(world, "--since", "2020-01-01").exit_code == 1


def test_an_interrupted_check_goes_on_where_it_was(
    world: World, damaged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yinxin.check, "PAGE", 3)
    cursor, real, pages = tmp_path / "cursor", SQLCheckSource.page, []

    def page(self: SQLCheckSource, **where: int) -> Sequence[Row]:
        pages.append(where["after"])
        if len(pages) == 3:
            raise Unavailable("the database was lost")
        return real(self, **where)

    monkeypatch.setattr(SQLCheckSource, "page", page)
    first = run(world, "--resume", cursor)
    assert first.exit_code == 1
    assert "the database was lost" in first.output
    assert first.output.count(damaged) == 1
    kept = json.loads(cursor.read_text())
    assert (kept["checked"], kept["found"]) == (6, {"subject": 1})
    second = run(world, "--resume", cursor)
    assert pages[3] == kept["after"]
    assert damaged not in second.output
    assert (second.exit_code, second.output) == (1, "11 rows checked: 1 subject\n")
    assert not cursor.exists()


def test_a_cursor_that_is_none_is_refused(world: World, tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    for octets in (b"", b"[]", b'{"after": "x"}', b'{"after": 1, "newest": 2, "checked": 0}'):
        cursor.write_bytes(octets)
        said = run(world, "--resume", cursor)
        assert said.exit_code == 1
        assert "does not hold the progress of a check" in said.output


def test_the_page_explains_every_kind_of_fault() -> None:
    explained = re.findall(r"^\| `([a-z]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert explained == list(KINDS)
