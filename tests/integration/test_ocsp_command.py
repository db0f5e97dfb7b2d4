"""``yinxin ocsp`` against the running plane."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.clock import SystemClock
from tests import databases
from tests.conformance.relying import Certified, Certifier
from tests.fakes.audit import MemoryAuditLog
from tests.integration.plane import running_plane
from tests.judges.octets import CERTIFICATE, pem
from tests.unit.crl.world import World
from yinxin.cli import main


@pytest.fixture(scope="module")
def certifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certifier]:
    database = databases.sqlite(tmp_path_factory.mktemp("plane"), "ocsp.sqlite3")
    world = World(database, "ec", clock=SystemClock(), audit=MemoryAuditLog())
    with running_plane(world) as plane:
        yield Certifier(world, "ec", plane.url)


def written(directory: Path, one: Certified) -> str:
    path = directory / "chain.pem"
    path.write_text("".join(pem(CERTIFICATE, der) for der in reversed(one.path)))
    return str(path)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["ocsp", *words])


def test_query_explains_and_its_exit_code_is_the_status(certifier, tmp_path):
    good = run("query", written(tmp_path, certifier.good()))
    assert good.exit_code == 0, good.output
    assert "good\n" in good.output
    assert "delegated until" in good.output
    revoked = run("query", written(tmp_path, certifier.revoked()), "--json", "--no-nonce", "--post")
    assert revoked.exit_code == 2
    told = json.loads(revoked.output)
    assert (told["status"], told["reason"]) == ("revoked", "certificateHold")
    assert told["nonce"] is None
    unknown = run("query", written(tmp_path, certifier.unknown()))
    assert unknown.exit_code in {1, 3}, unknown.output
    assert "good" not in unknown.output


def test_query_says_what_is_missing(certifier, tmp_path):
    path = written(tmp_path, certifier.good())
    away = run("query", path, "--url", "http://127.0.0.1:1/ocsp")
    assert (away.exit_code, "does not answer" in away.output) == (1, True)
    strange = run("query", path, "--url", "ftp://127.0.0.1/")
    assert (strange.exit_code, "http://" in strange.output) == (1, True)
    assert run("query").exit_code == 2


def test_bench_prints_rate_and_latency(certifier, tmp_path):
    path = written(tmp_path, certifier.good())
    for more in ((), ("--close", "--post")):
        done = run("bench", path, "--seconds", "0.2", "--connections", "2", *more)
        assert done.exit_code == 0, done.output
        assert "failed     0" in done.output
        assert "p99" in done.output
