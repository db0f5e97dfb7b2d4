"""CRLs and CA certificates on shelves: a real directory, and one that misbehaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import Conflict, Misconfigured, Unavailable
from crl.config import CRLConfig
from crl.mirror import Mirror, Stored, Wanted
from crl.mirror_config import MirrorConfig
from crl.shelf_directory import DirectoryShelf
from tests.unit.crl.world import World


def mirror_of(world: World, *shelves: object, **config: object) -> Mirror:
    return Mirror(
        shelves, world.schedule, world.issuers, config=CRLConfig(**config), clock=world.clock
    )


class Memory:
    """A shelf that counts, and does what a test tells it to."""

    name = "memory"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.reads = 0
        self.away = False
        self.overtaken = False

    def read(self, path: str) -> Stored | None:
        self.reads += 1
        if self.away:
            raise Unavailable("no route")
        octets = self.objects.get(path)
        return None if octets is None else Stored(octets, str(hash(octets)))

    def write(self, wanted: Wanted, *, instead_of: Stored | None) -> None:
        if self.away:
            raise Unavailable("no route")
        if self.overtaken:
            raise Conflict("too late")
        assert (instead_of is None) == (wanted.path not in self.objects)
        self.objects[wanted.path] = wanted.octets
        self.writes.append(wanted.path)


def test_a_directory_gets_what_the_service_would_serve(world: World, tmp_path: Path):
    world.partition("ec-issuing", 2)
    served = tmp_path / "served"
    served.mkdir()
    mirror = mirror_of(world, DirectoryShelf(served))
    mirror.run()
    files = {str(path.relative_to(served)) for path in served.rglob("*") if path.is_file()}
    assert files == {
        ".yinxin-lock",
        *(f"ca/ec-{kind}.{end}" for kind in ("root", "issuing") for end in ("cer", "p7c")),
        "crl/ec-root.crl",
        "crl/ec-issuing.crl",
        "crl/ec-issuing/2/0.crl",
        "crl/ec-issuing/2/1.crl",
    }
    issued = world.issue("ec-issuing")
    world.revoke(issued)
    mirror.run()
    name = f"ec-issuing/2/{issued.serial % 2}"
    written = served / "crl" / f"{name}.crl"
    assert written.read_bytes() == world.schedule.current(name).der
    assert written.stat().st_mode & 0o777 == 0o644


def test_nothing_is_read_or_written_while_nothing_changes(world: World):
    shelf = Memory()
    mirror = mirror_of(world, shelf)
    mirror.run()
    reads, writes = shelf.reads, len(shelf.writes)
    mirror.run()
    assert (shelf.reads, len(shelf.writes)) == (reads, writes)
    # Another process, after a restart: reads once, and finds it all there.
    mirror_of(world, shelf).run()
    assert len(shelf.writes) == writes


def test_a_number_never_goes_back_whatever_the_database_says(world: World, caplog):
    shelf = Memory()
    mirror_of(world, shelf).run()
    newer = world.generate("ec-issuing")
    shelf.objects["crl/ec-issuing.crl"] = newer.der
    with world.database.transaction() as connection:
        connection.exec_driver_sql(f"DELETE FROM crls WHERE number = {newer.number}")  # noqa: S608
    mirror_of(world, shelf).run()
    assert shelf.objects["crl/ec-issuing.crl"] == newer.der
    assert "older database" in caplog.records[-1].reason


@pytest.mark.parametrize("wrong", ["other issuer", "other partition", "garbage"])
def test_what_is_not_the_crl_before_is_not_overwritten(world: World, caplog, wrong: str):
    world.partition("ec-issuing", 2)
    path = "crl/ec-issuing/2/0.crl"
    before = {
        "other issuer": world.generate("ec-root").der,
        "other partition": world.generate("ec-issuing/2/1").der,
        "garbage": b"<html>",
    }[wrong]
    world.clock.advance(seconds=1)
    shelf = Memory()
    shelf.objects[path] = before
    mirror = mirror_of(world, shelf)
    mirror.run()
    assert shelf.objects[path] == before
    assert "crl/ec-issuing/2/1.crl" in shelf.writes
    # An operator removes it, and it is put there soon.
    del shelf.objects[path]
    world.clock.advance(seconds=5)
    mirror.run()
    assert path in shelf.writes


def test_a_shelf_that_is_away_is_left_alone_for_a_while_and_then_caught_up(world: World):
    shelf, other = Memory(), Memory()
    shelf.name, shelf.away = "away", True
    mirror = mirror_of(world, shelf, other)
    mirror.run()
    assert shelf.reads == 1
    assert "crl/ec-root.crl" in other.writes
    mirror.run()
    assert shelf.reads == 1
    shelf.away = False
    world.clock.advance(seconds=5)
    mirror.run()
    assert sorted(shelf.writes) == sorted(other.writes)


def test_who_was_overtaken_looks_again(world: World):
    shelf = Memory()
    shelf.overtaken = True
    mirror = mirror_of(world, shelf)
    mirror.run()
    shelf.overtaken = False
    world.clock.advance(seconds=5)
    mirror.run()
    assert "crl/ec-issuing.crl" in shelf.writes


def test_the_directory_takes_no_write_over_what_it_did_not_read(tmp_path: Path):
    shelf = DirectoryShelf(tmp_path)
    first = Wanted("crl/a.crl", b"one", "application/pkix-crl", 1)
    shelf.write(first, instead_of=None)
    with pytest.raises(Conflict):
        shelf.write(first, instead_of=None)
    before = shelf.read("crl/a.crl")
    (tmp_path / "crl/a.crl").write_bytes(b"somebody else's")
    with pytest.raises(Conflict):
        shelf.write(Wanted("crl/a.crl", b"two", "application/pkix-crl", 1), instead_of=before)
    assert [path.name for path in (tmp_path / "crl").iterdir()] == ["a.crl"]


def test_a_directory_that_is_full_or_gone_is_unavailable(tmp_path: Path, monkeypatch):
    with pytest.raises(Misconfigured):
        DirectoryShelf(tmp_path / "nowhere")
    shelf = DirectoryShelf(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space"):
        shelf.write(Wanted("crl/a.crl", b"x", "application/pkix-crl", 1), instead_of=None)
    assert shelf.read("crl/a.crl") is None
    assert list((tmp_path / "crl").iterdir()) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"bucket": "crls"},
        {"bucket": "Not A Bucket", "access_key": "a", "secret_key_file": "/x"},
        {"endpoint": "ftp://x"},
        {"prefix": "../up"},
    ],
)
def test_settings_that_would_not_work_are_refused(settings):
    with pytest.raises(ValueError, match=r"bucket|endpoint|prefix"):
        MirrorConfig(**settings)
