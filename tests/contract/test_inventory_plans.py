"""Every search is answered from an index that is in the order of the page: nothing is sorted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateQuery, CertificateState
from core.db import Database
from tests.contract.test_certificate_store import NOW, issue

QUERIES = {
    "nothing": CertificateQuery(),
    "issuer": CertificateQuery(issuer="a"),
    "state": CertificateQuery(state=CertificateState.ISSUED),
    "issuer and state": CertificateQuery(issuer="a", state=CertificateState.ISSUED),
    "profile": CertificateQuery(profile="device"),
    "requester": CertificateQuery(requester="somebody"),
    "organisation": CertificateQuery(organisation_id="o"),
    "subject": CertificateQuery(subject_id="s"),
    "serial": CertificateQuery(serial=5),
    "fingerprint": CertificateQuery(fingerprint="00"),
    "public key": CertificateQuery(spki_fingerprint="00"),
    "expiry": CertificateQuery(expires_before=NOW + timedelta(days=3)),
    "whole word": CertificateQuery(text="设备"),
}
UNIQUE = {"serial", "fingerprint", "public key"}
"""They find one or a few: sorting those is nothing."""


def explained(database: Database, query: CertificateQuery) -> str:
    asked = []

    def remember(_c, _cursor, statement, parameters, _context, _many) -> None:
        if "FROM certificates" in statement:
            asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", remember)
    SQLCertificateStore(database).search_certificates(query)
    event.remove(database.engine, "before_cursor_execute", remember)
    statement, parameters = asked[-1]
    with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # The tables of a test are so small that reading them whole is the better plan.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            connection.exec_driver_sql("SET LOCAL enable_hashjoin = off")
            connection.exec_driver_sql("SET LOCAL enable_mergejoin = off")
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            return "\n".join(row[0] for row in plan)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row[3] for row in plan)


@pytest.mark.parametrize("name", QUERIES)
def test_a_search_reads_an_index_in_the_order_of_the_page(database: Database, name: str) -> None:
    store = SQLCertificateStore(database)
    for number in range(50):
        issue(store, number)
    plan = explained(database, QUERIES[name])
    assert "Seq Scan" not in plan, plan
    if name not in UNIQUE:
        assert "Sort" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan
    if name != "nothing":
        # SQLite says SCAN for a table that it reads from end to end.
        assert "SCAN" not in plan, plan


def test_a_key_is_looked_for_among_keys_and_not_among_all_of_a_state(
    sqlite_database: Database,
) -> None:
    plan = explained(
        sqlite_database,
        CertificateQuery(issuer="a", state=CertificateState.ISSUED, spki_fingerprint="00"),
    )
    assert "USING INDEX ix_certificates_spki_fingerprint" in plan


@pytest.mark.postgres
@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_common_word_is_read_in_order_and_the_connection_is_left_as_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ca.sqlinventory._MANY", 3)
    store = SQLCertificateStore(database)
    for number in range(6):
        issue(store, number, subject=f"CN=gate-{number}")
    asked = []

    def remember(_c, _cursor, statement, *_) -> None:
        asked.append(statement.split("\n")[0])

    event.listen(database.engine, "before_cursor_execute", remember)
    store.search_certificates(CertificateQuery(text="gat"))
    assert asked[-3] == "SET enable_sort = off"
    assert asked[-1] == "RESET enable_sort"
    with database.reading() as connection:
        assert connection.exec_driver_sql("SHOW enable_sort").scalar() == "on"
