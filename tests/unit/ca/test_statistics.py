from __future__ import annotations

import csv

import pytest
from fastapi.testclient import TestClient

from ca.operations import Operation
from ca.rights_store import Grant
from ca.statistics import Month, parse_month, period
from core.errors import Malformed
from core.identity import Role
from tests.fakes.clock import FakeClock
from tests.unit.ca.door import Asker, issued
from tests.unit.ca.registration import Registration

NOW = FakeClock().now()


def test_the_period_is_two_years_around_now_unless_it_is_said() -> None:
    assert tuple(map(str, period(None, None, now=NOW))) == ("2025-12", "2027-11")
    assert period("2026-11", "2026-11", now=NOW) == (Month(2026, 11), Month(2026, 11))
    assert Month(2026, 12).plus(1) == Month(2027, 1)
    for first, last in (("2026-02", "2026-01"), ("2020-01", "2030-01"), (None, "2020-01")):
        with pytest.raises(Malformed, match="1 to 120 months"):
            period(first, last, now=NOW)


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "1026-01", "2026-1", "x"])
def test_a_month_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="like 2026-11"):
        parse_month(text)


def test_counts_are_for_who_may_count_there(
    client: TestClient, registration: Registration, asker: Asker
) -> None:
    issued(client, organisation=registration.finance.id)
    issued(client, organisation=registration.ningbo.id)
    whole = client.get("/statistics").json()
    assert whole["organisation"] == registration.root.id
    alive = {line["name"]: line["count"] for line in whole["counts"] if line["state"] == "issued"}
    assert (alive["杭州市"], alive["宁波市"]) == (1, 1)

    registration.rights.grant(
        "wang",
        registration.hangzhou.id,
        Grant(None, frozenset({Operation.STATISTICS}), frozenset()),
        actor="alice",
    )
    asker.name = "wang"
    own = client.get("/statistics").json()
    assert own["organisation"] == registration.hangzhou.id
    assert {line["name"] for line in own["counts"]} == {"财政局"}
    for foreign in (registration.ningbo.id, registration.root.id):
        answer = client.get("/statistics", params={"organisation": foreign})
        assert (answer.status_code, "wang lacks the right: statistics" in answer.text) == (
            403,
            True,
        )
    asker.name = "li"
    assert client.get("/statistics").status_code == 403
    asker.role = Role.AUDIT
    assert client.get("/statistics").json()["counts"] == whole["counts"]


def test_the_table_has_the_same_lines_and_no_formula(
    client: TestClient, registration: Registration
) -> None:
    issued(client, organisation=registration.finance.id)
    registration.organisations.rename(registration.hangzhou.id, "=1+1", actor="alice")
    shown = client.get("/statistics").json()["counts"]
    answer = client.get("/statistics", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert {row["name"] for row in rows} >= {"'=1+1"}
    for row in rows:
        row["name"] = row["name"].removeprefix("'")
    as_text = [{key: "" if v is None else str(v) for key, v in line.items()} for line in shown]
    assert rows == as_text


def test_what_cannot_be_asked_is_refused(client: TestClient) -> None:
    for wrong in ({"first": "2026"}, {"format": "pdf"}, {"last": "2020-01"}):
        assert client.get("/statistics", params=wrong).status_code == 400
    assert client.get("/statistics", params={"organisation": "0" * 32}).status_code == 404
