"""The audit chain to a syslog collector over real TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.audit_export import AuditExporter
from core.audit_reading import compare, verify_export
from core.audit_sql import SQLAuditLog
from core.db import Database
from keystore.algorithms import KeyAlgorithm
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.fakes.syslog import Collector, make_certificate
from yinxin.audit_key import AuditKey
from yinxin.auditing import make_exporter
from yinxin.config import AuditConfig, AuditSyslogConfig


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def collector(identity: tuple[Path, Path]) -> Iterator[Collector]:
    running = Collector(*identity)
    yield running
    running.stop()


@pytest.fixture
def log(sqlite_database: Database, clock: FakeClock) -> SQLAuditLog:
    log = SQLAuditLog(sqlite_database, clock=clock)
    log.initialise()
    for number in range(5):
        log.record("thing.done", actor="李", detail={"number": number})
    return log


KEY = AuditKey(memory_key(KeyAlgorithm.SM2))


def exporter(log: SQLAuditLog, port: int, **how: object) -> AuditExporter:
    config = AuditConfig(syslog=AuditSyslogConfig(host="localhost", port=port, **how))
    return make_exporter(config, log, KEY, hostname="ca.example.gov.cn")


def test_rows_and_checkpoints_arrive_over_tls_and_verify(
    log: SQLAuditLog, collector: Collector, identity: tuple[Path, Path], tmp_path: Path
) -> None:
    sending = exporter(log, collector.port, trust=identity[0])
    sending.run()
    messages = collector.wait_for(6)
    assert messages[0].startswith(
        "<109>1 2026-11-22T08:00:00Z ca.example.gov.cn yinxin - event - {"
    )
    assert " yinxin - checkpoint - {" in messages[5]
    log.record("thing.done", actor="li", detail={})
    sending.run()
    messages = collector.wait_for(7)
    assert '"sequence":6,' in messages[6], "a living connection is used again, without repeating"
    sending.close()
    # What a collector wrote down, prefix and all, is verified as it is.
    kept = tmp_path / "collected.log"
    kept.write_text("".join(f"{message}\n" for message in messages))
    verdict = verify_export(kept, KEY)
    assert (verdict.fault, verdict.rows, verdict.checkpoints) == (None, 6, 1)
    assert list(compare(kept, log.walk())) == []


def test_a_collector_that_cannot_prove_itself_gets_nothing(
    log: SQLAuditLog, collector: Collector, tmp_path: Path
) -> None:
    stranger, _ = make_certificate(tmp_path)
    sending = exporter(log, collector.port, trust=stranger)
    sending.run()
    assert "self-signed certificate" in sending.faults["syslog"]
    assert collector.messages == []
    assert log.find_cursor("syslog") == (0, 0)


def test_a_collector_that_goes_away_gets_everything_when_it_is_back(
    log: SQLAuditLog, identity: tuple[Path, Path]
) -> None:
    first = Collector(*identity)
    sending = exporter(log, first.port, trust=identity[0])
    sending.run()
    first.wait_for(6)
    first.stop()
    log.record("thing.done", actor="li", detail={})
    sending.run()
    assert "Connection refused" in sending.faults["syslog"]
    sending.close()
    second = Collector(*identity)
    again = exporter(log, second.port, trust=identity[0])
    again.run()
    messages = second.wait_for(7)
    again.close()
    second.stop()
    assert again.faults == {}
    found = [number for number in range(1, 7) if f'"sequence":{number},' in "".join(messages)]
    assert found == [1, 2, 3, 4, 5, 6], "what may have been lost with the connection too"


def test_plain_tcp_is_refused_until_it_is_allowed(log: SQLAuditLog) -> None:
    with pytest.raises(ValidationError, match="not encrypted"):
        AuditSyslogConfig(host="localhost", protocol="tcp")
    plain = Collector()
    sending = exporter(log, plain.port, protocol="tcp", allow_plain_tcp=True)
    sending.run()
    assert len(plain.wait_for(6)) == 6
    sending.close()
    plain.stop()
