"""200 parallel calls with one Idempotency-Key, on both databases: one certificate."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ca.idempotency import Idempotency
from ca.requests import RequestState
from ca.store import CertificateQuery
from core.audit_sql import SQLAuditLog
from core.db import Database
from tests.fakes.clock import FakeClock
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.test_enrollment import make_service

CALLS = 200
KEY = Idempotency("one-and-the-same", "a" * 64)


def test_200_parallel_calls_give_one_certificate(database: Database, clock: FakeClock) -> None:
    audit = SQLAuditLog(database, clock=clock)
    audit.initialise()
    authority = Authority(database, clock, audit)
    service = make_service(authority)

    def submit(_: int):
        return service.submit(request(), profile="direct", issuer="sm2-issuing", idempotency=KEY)

    with ThreadPoolExecutor(CALLS) as threads:
        records = list(threads.map(submit, range(CALLS)))
    assert {record.state for record in records} == {RequestState.ISSUED}
    assert len({(record.id, record.serial) for record in records}) == 1
    page = authority.store.search_certificates(CertificateQuery(issuer="sm2-issuing"))
    assert [record.serial for record in page.items] == [records[0].serial]
    actions = [event.action for event in audit.list_events(limit=1000)]
    # Two roots, two issuing CAs, and this one.
    assert actions.count("certificate.signing") == 5
    assert actions.count("request.submitted") == 1
