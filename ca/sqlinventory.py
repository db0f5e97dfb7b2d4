"""Searching certificates in SQL. Every filter alone is answered from an index, in its order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, and_, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from ca.issuer import Prepared
from ca.reasons import RevocationReason
from ca.serials import from_hex, to_hex
from ca.sqlorganisations import in_scope
from ca.store import CertificateQuery, CertificateRecord, CertificateState, Page
from ca.tables import certificate_terms, certificates
from ca.terms import Wanted, terms_of, wanted_terms
from core.db import Database
from core.errors import Malformed
from core.listing import unknown
from core.rows import insert_rows

_C = certificates.c
_T = certificate_terms.c
_MANY: Final = 5000
"""More certificates than this begin a word so: reading them in order finds a page sooner."""
_MANY_INSIDE: Final = 10_000
"""The same of the certificates of a subtree, which are counted from a narrower index."""
_CURSOR: Final = re.compile(r"(?:(\d{1,12})-)?(\d{1,18})", re.ASCII)
_SORTS: Final = ("issued", "not_after")
_LAST: Final = "\U0010ffff"


class SQLInventory:
    """`ca.store.CertificateStore.search_certificates` on one database."""

    _database: Database

    def search_certificates(
        self,
        query: CertificateQuery,
        *,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> Page:
        order = _order_of(query, sort)
        with self._database.reading() as connection:
            newest: ColumnElement[int] = _C.id
            by_text = by_scope = False
            if order.by_expiry and sort is not None:
                statement, by_scope = _by_expiry(query, connection)
            else:
                statement = _filtered(select(certificates), query)
            if cursor is not None:
                statement = statement.where(_after(cursor, order))
            if query.text is not None:
                statement, newest, by_text = _with_text(statement, query.text, connection)
            if query.scope is not None:
                statement, inside = _with_scope(statement, query.scope, connection)
                by_scope = by_scope or inside
            keys = (_C.not_after, _C.id) if order.by_expiry else (newest,)
            ordered = statement.order_by(*(key.desc() if order.down else key for key in keys))
            with _in_order(connection) if by_text or by_scope else nullcontext():
                rows = connection.execute(ordered.limit(limit + 1)).all()
        more = _cursor_of(rows[limit - 1], order) if len(rows) > limit else None
        return Page(tuple(record_of(row) for row in rows[:limit]), more)


@contextmanager
def _in_order(connection: Connection) -> Iterator[None]:
    """Read the rows in the order of an index until the page is full.

    PostgreSQL takes conditions on words and branches for rare ones, and would read all rows and
    sort them. Readers are not in a transaction there, so SET LOCAL would do nothing.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.exec_driver_sql("SET enable_sort = off")
    try:
        yield
    finally:
        connection.exec_driver_sql("RESET enable_sort")


def add_terms(
    connection: Connection, prepared: Sequence[Prepared], ids: Mapping[tuple[str, str], int]
) -> None:
    """Let certificates that were just added be found by the words of their subjects.

    `ids`: those of their rows, by issuer and serial number in hex.
    """
    rows = [
        {"term": term, "certificate_id": ids[one.issuer, to_hex(one.serial)]}
        for one in prepared
        for term in terms_of(one.subject)
    ]
    insert_rows(connection, certificate_terms, rows, wait=False)


class _Order(NamedTuple):
    by_expiry: bool
    down: bool


def _order_of(query: CertificateQuery, sort: str | None) -> _Order:
    if sort is None:
        by_expiry = query.expires_before is not None or query.expires_after is not None
        return _Order(by_expiry, down=not by_expiry)
    name = sort.removeprefix("-")
    if name not in _SORTS:
        raise unknown(sort, _SORTS)
    return _Order(name == "not_after", down=sort.startswith("-"))


def _by_expiry(query: CertificateQuery, connection: Connection) -> tuple[Select[Any], bool]:
    """Narrow for a list by its ends; return also whether to read in order (`_in_order`).

    As with subtrees: few are taken from the index of a criterion, many are met soon in the order
    of ends.
    """
    if not _exact(query):
        return _filtered(select(certificates), query), False
    few = _filtered(select(_C.id), query)
    counted = select(func.count()).select_from(few.limit(_MANY + 1).subquery())
    if connection.execute(counted).scalar_one() <= _MANY:
        return select(certificates).where(_C.id.in_(few)), False
    return _filtered(select(certificates), query, in_order=True), True


def _exact(query: CertificateQuery) -> dict[Any, Any]:
    wanted = {
        _C.issuer: query.issuer,
        _C.serial: None if query.serial is None else to_hex(query.serial),
        _C.state: query.state,
        _C.profile: query.profile,
        _C.fingerprint: query.fingerprint,
        _C.spki_fingerprint: query.spki_fingerprint,
        _C.requester: query.requester,
        _C.organisation_id: query.organisation_id,
        _C.subject_id: query.subject_id,
    }
    return {column: value for column, value in wanted.items() if value is not None}


def _filtered(
    statement: Select[Any], query: CertificateQuery, *, in_order: bool = False
) -> Select[Any]:
    # Of what few certificates have, these are looked at; SQLite, which does not know how many that
    # is, would go through all of a state instead, in the order that is asked for.
    few = query.fingerprint is not None or query.spki_fingerprint is not None
    many = (_C.issuer, _C.state, _C.profile, _C.requester) if few else ()
    for column, value in _exact(query).items():
        # An expression, so that the index of this column is not used.
        hidden = in_order or any(column is one for one in many)
        statement = statement.where((column.concat("") if hidden else column) == value)
    if query.expires_after is not None:
        statement = statement.where(_C.not_after >= query.expires_after)
    if query.expires_before is not None:
        statement = statement.where(_C.not_after < query.expires_before)
    return statement


# ---- cursors ------------------------------------------------------------------------------------


def _after(cursor: str, order: _Order) -> ColumnElement[bool]:
    match = _CURSOR.fullmatch(cursor)
    if match is None or (match[1] is not None) != order.by_expiry:
        raise Malformed("the cursor is not one that a page of this list gave")
    last = int(match[2])
    if not order.by_expiry:
        return _C.id < last if order.down else _C.id > last
    at = datetime.fromtimestamp(int(match[1]), UTC)
    if order.down:
        return or_(_C.not_after < at, and_(_C.not_after == at, _C.id < last))
    return or_(_C.not_after > at, and_(_C.not_after == at, _C.id > last))


def _cursor_of(row: Any, order: _Order) -> str:
    return f"{int(row.not_after.timestamp())}-{row.id}" if order.by_expiry else str(row.id)


def _with_scope(
    statement: Select[Any], scope: frozenset[str], connection: Connection
) -> tuple[Select[Any], bool]:
    """Narrow to subtrees of organisations; return also whether to read in order (`_in_order`).

    Few certificates are taken from the index of organisations. Many are met soon by reading all
    in order; from the index they would have to be sorted for each page.
    """
    inside = certificates.alias("inside").c
    few = select(inside.id).where(in_scope(inside.organisation_id, scope))
    counted = select(func.count()).select_from(few.limit(_MANY_INSIDE + 1).subquery())
    if connection.execute(counted).scalar_one() <= _MANY_INSIDE:
        return statement.where(_C.id.in_(few)), False
    # An expression, so that the index of organisations is not used.
    return statement.where(in_scope(func.coalesce(_C.organisation_id, ""), scope)), True


# ---- words --------------------------------------------------------------------------------------


def _with_text(
    statement: Select[Any], text: str, connection: Connection
) -> tuple[Select[Any], ColumnElement[int], bool]:
    """Narrow to the subjects with every word of `text`.

    Return also the id to sort by, and whether to read in order (`_in_order`).

    One word leads, from the index; the others are looked for in the subjects that it gives. When
    every word begins the words of very many subjects, all are looked for in the subjects, newest
    first: a page is full after few of them.
    """
    wanted = wanted_terms(text)
    if not wanted:
        raise Malformed("the text to search for has no letter and no digit")
    counts = {term: _count(term, connection) for term in wanted}
    leading = min(wanted, key=lambda term: (counts[term], not term.whole))
    statement = statement.where(*(_holds(term) for term in wanted if term != leading))
    if leading.whole:
        joined = statement.join(certificate_terms, _T.certificate_id == _C.id)
        return joined.where(_T.term == leading.text), _T.certificate_id, False
    if counts[leading] <= _MANY:
        few = select(_T.certificate_id).where(_has(leading))
        return statement.where(_C.id.in_(few)), _C.id, False
    return statement.where(_holds(leading)), _C.id, True


def _count(term: Wanted, connection: Connection) -> int:
    few = select(_T.term).where(_has(term)).limit(_MANY + 1).subquery()
    return connection.execute(select(func.count()).select_from(few)).scalar_one()


def _has(term: Wanted) -> ColumnElement[bool]:
    if term.whole:
        return _T.term == term.text
    return and_(_T.term >= term.text, _T.term < term.text + _LAST)


def _holds(term: Wanted) -> ColumnElement[bool]:
    return func.lower(_C.subject).contains(term.text, autoescape=True)


# ---- rows ---------------------------------------------------------------------------------------


def reason_of(value: str | None) -> RevocationReason | None:
    """Return the reason that a column holds."""
    return None if value is None else RevocationReason(value)


def record_of(row: Any) -> CertificateRecord:
    """Return the record that a row holds."""
    return CertificateRecord(
        issuer=row.issuer,
        serial=from_hex(row.serial),
        state=CertificateState(row.state),
        profile=row.profile,
        subject=row.subject,
        not_before=row.not_before,
        not_after=row.not_after,
        tbs=bytes(row.tbs),
        der=None if row.der is None else bytes(row.der),
        fingerprint=row.fingerprint,
        spki_fingerprint=row.spki_fingerprint,
        requester=row.requester,
        request_id=row.request_id,
        reserved_at=row.reserved_at,
        issued_at=row.issued_at,
        revoked_at=row.revoked_at,
        reason=reason_of(row.reason),
        organisation_id=row.organisation_id,
        subject_id=row.subject_id,
    )
