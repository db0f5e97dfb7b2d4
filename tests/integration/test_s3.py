"""CRLs in a bucket of an S3-compatible storage that serves on loopback."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.db import Database
from core.errors import Conflict, Unavailable
from crl.mirror import Mirror, Wanted
from crl.mirror_config import MirrorConfig
from crl.shelf_s3 import S3Shelf
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.judges import moto
from tests.ports import free_ports
from tests.unit.crl.world import World

SECRET = "a-secret-access-key"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto.storage() as found:
        make = urllib.request.Request(f"{found}/pki", method="PUT")
        with urllib.request.urlopen(make) as answer:
            assert answer.status == 200
        yield found


def shelf(endpoint: str, tmp_path: Path, prefix: str, bucket: str = "pki") -> S3Shelf:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n", encoding="ascii")
    secret.chmod(0o600)
    config = MirrorConfig(
        bucket=bucket,
        endpoint=endpoint,
        prefix=prefix,
        access_key="yinxin",
        secret_key_file=secret,
    )
    return S3Shelf(config, clock=SystemClock())


def crl(octets: bytes) -> Wanted:
    return Wanted("crl/a.crl", octets, "application/pkix-crl", 300)


def test_an_object_is_replaced_only_if_it_is_the_one_that_was_read(endpoint: str, tmp_path: Path):
    first, second = (shelf(endpoint, tmp_path, "two-nodes/") for _ in range(2))
    assert first.read("crl/a.crl") is None
    first.write(crl(b"one"), instead_of=None)
    with pytest.raises(Conflict):
        second.write(crl(b"one, too"), instead_of=None)
    seen = second.read("crl/a.crl")
    assert seen is not None
    assert seen.octets == b"one"
    second.write(crl(b"two"), instead_of=seen)
    with pytest.raises(Conflict):
        first.write(crl(b"three"), instead_of=seen)
    assert first.read("crl/a.crl").octets == b"two"


def test_a_bucket_follows_the_service(
    endpoint: str,
    tmp_path: Path,
    sqlite_database: Database,
    clock: FakeClock,
    audit: MemoryAuditLog,
):
    world = World(sqlite_database, "ec", clock=clock, audit=audit)
    world.partition("ec-issuing", 2)
    place = shelf(endpoint, tmp_path, "province/")
    options = {"config": world.config.crl, "clock": clock}
    mirror = Mirror([place], world.schedule, world.issuers, **options)
    mirror.run()
    issued = world.issue("ec-issuing")
    world.revoke(issued)
    mirror.run()
    path = f"crl/ec-issuing/2/{issued.serial % 2}"
    assert place.read(f"{path}.crl").octets == world.schedule.current(path[4:]).der
    assert place.read("ca/ec-root.cer").octets == world.issuers["ec-root"].certificate
    # Somebody else put a newer one there: it stays.
    newer = world.generate("ec-root")
    place.write(
        replace(crl(newer.der), path="crl/ec-root.crl"), instead_of=place.read("crl/ec-root.crl")
    )
    with world.database.transaction() as connection:
        connection.exec_driver_sql(f"DELETE FROM crls WHERE number = {newer.number}")  # noqa: S608
    Mirror([place], world.schedule, world.issuers, **options).run()
    assert place.read("crl/ec-root.crl").octets == newer.der


def test_what_cannot_be_reached_is_unavailable_and_says_no_secret(endpoint: str, tmp_path: Path):
    for place in (
        shelf(endpoint, tmp_path, "", bucket="nothing"),
        shelf(f"http://127.0.0.1:{free_ports(1)[0]}", tmp_path, ""),
    ):
        with pytest.raises(Unavailable) as caught:
            place.read("crl/a.crl")
        assert SECRET not in str(caught.value)
        with pytest.raises(Unavailable):
            place.write(crl(b"x"), instead_of=None)
