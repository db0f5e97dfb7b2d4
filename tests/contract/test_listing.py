"""Lists go on behind a row, in every order, on both databases."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from authn.sqlstore import SQLUserStore
from authn.store import User
from ca.organisations_store import Level, Organisation, OrganisationQuery
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateQuery, CertificateState
from core.db import Database
from core.errors import Malformed
from core.listing import page_of
from tests.contract.test_certificate_store import issue

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def walked(page: Callable[[str | None], tuple[Sequence[str], str | None]]) -> list[str]:
    """Return everything, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        items, cursor = page(cursor)
        found += items
        if cursor is None:
            return found


@pytest.mark.parametrize("sort", ["created", "name", "level"])
def test_organisations_in_every_order(database: Database, sort: str) -> None:
    store = SQLOrganisationStore(database)
    top = secrets.token_hex(16)
    store.add_organisation(Organisation(top, None, Level.PROVINCE, "省", None, NOW))
    names = {}
    for number, name in enumerate(("b", "a", "c", "a", "b", "a")):
        level = (Level.CITY, Level.COUNTY)[number % 2]
        one = Organisation(secrets.token_hex(16), top, level, name, None, NOW)
        store.add_organisation(one)
        names[one.id] = (name, level)

    def page(order: str) -> list[str]:
        def some(cursor: str | None) -> tuple[Sequence[str], str | None]:
            query = OrganisationQuery(parent=top)
            found = store.list_organisations(query, cursor=cursor, limit=2, sort=order)
            return [one.id for one in found.items], found.next_cursor

        return walked(some)

    up = page(sort)
    assert sorted(up) == sorted(names)
    if sort != "created":
        values = [names[one][sort == "level"] for one in up]
        assert values == sorted(values)
    assert page(f"-{sort}") == up[::-1]
    with pytest.raises(Malformed, match="one of created, name, level"):
        page("code")


def test_users_by_when_they_came(database: Database) -> None:
    store = SQLUserStore(database)
    for number, name in enumerate("badc"):
        at = NOW + timedelta(days=number // 2)
        store.add(User(str(uuid.uuid4()), name, "x", None, None, None, False, at))

    def names(sort: str | None) -> list[str]:
        def some(after: str | None) -> tuple[Sequence[str], str | None]:
            found = [one.name for one in store.list_users(after=after or "", limit=2, sort=sort)]
            return found, found[-1] if len(found) == 2 else None

        return walked(some)

    assert names(None) == ["a", "b", "c", "d"]
    assert names("created") == ["a", "b", "c", "d"]
    assert names("-created") == ["d", "c", "b", "a"]
    assert names("-display_name") == ["d", "c", "b", "a"]


@pytest.mark.parametrize("many", [0, 5000])
def test_certificates_by_their_ends(
    database: Database, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few that meet a criterion are sorted; among many the order of the ends is read."""
    monkeypatch.setattr("ca.sqlinventory._MANY", many)
    store = SQLCertificateStore(database)
    numbers = {
        issue(store, number, not_after=NOW + timedelta(days=10 - number // 2)): number
        for number in range(1, 6)
    }

    def serials(sort: str) -> list[int]:
        def some(cursor: str | None) -> tuple[Sequence[str], str | None]:
            query = CertificateQuery(issuer="a", state=CertificateState.ISSUED)
            found = store.search_certificates(query, cursor=cursor, limit=2, sort=sort)
            return [str(numbers[one.serial]) for one in found.items], found.next_cursor

        return [int(one) for one in walked(some)]

    assert serials("issued") == [1, 2, 3, 4, 5]
    assert serials("-issued") == [5, 4, 3, 2, 1]
    assert serials("not_after") == [4, 5, 2, 3, 1]
    assert serials("-not_after") == [1, 3, 2, 5, 4]
    with pytest.raises(Malformed, match="one of issued, not_after"):
        serials("subject")


def test_a_list_in_memory() -> None:
    keys = {"size": len}
    assert page_of(["ccc", "a", "bb"], keys, str, "size", None) == ["a", "bb", "ccc"]
    assert page_of(["ccc", "a", "bb"], keys, str, "-size", "ccc") == ["bb", "a"]
    assert page_of(["ccc", "a", "bb"], keys, str, None, "a") == ["bb"]
    assert page_of(["ccc", "a", "bb"], keys, str, None, "gone") == []
    with pytest.raises(Malformed, match="one of size"):
        page_of(["a"], keys, str, "weight", None)
