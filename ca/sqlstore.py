"""`ca.store` in SQL: certificates, their status and its events."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from ca.issuer import Issued, Prepared, Reserved
from ca.reasons import RevocationReason
from ca.serials import from_hex, to_hex
from ca.sqlinventory import SQLInventory, add_terms, reason_of, record_of
from ca.sqlissuers import SQLIssuerStore
from ca.store import (
    CertificateRecord,
    CertificateState,
    CertificateStatus,
    Changed,
    RevokedEntry,
    StatusChange,
)
from ca.tables import certificates, revocation_events, revocation_positions
from core.errors import Conflict
from core.rows import insert_rows, recordset, run_rows
from core.statements import Statement

_C = certificates.c
# Built once: building a statement costs as much as running it.
_COMPLETE = Statement(
    sql_update(certificates)
    .where(
        _C.issuer == bindparam("of_issuer"),
        _C.serial == bindparam("of_serial"),
        _C.state == CertificateState.RESERVED,
    )
    .values(
        state=CertificateState.ISSUED,
        der=bindparam("der"),
        fingerprint=bindparam("fingerprint"),
        issued_at=bindparam("issued_at"),
    )
)
# The same for all at once (`core.rows`).
_COMPLETED = recordset(
    {
        "of_issuer": _C.issuer,
        "of_serial": _C.serial,
        "der": _C.der,
        "fingerprint": _C.fingerprint,
        "issued_at": _C.issued_at,
    }
)
_COMPLETE_TOGETHER = (
    f"UPDATE certificates AS c SET state = '{CertificateState.ISSUED}', der = r.der, "  # noqa: S608  # our own words
    f"fingerprint = r.fingerprint, issued_at = r.issued_at FROM {_COMPLETED} "
    "WHERE c.issuer = r.of_issuer AND c.serial = r.of_serial "
    f"AND c.state = '{CertificateState.RESERVED}'"
).encode()
_KEY = ("issuer", "serial", "id")
_OF_REQUESTS = select(certificates).where(
    _C.request_id.in_(bindparam("request_ids", expanding=True))
)
_E = revocation_events.c
_POSITIONS = Statement(select(revocation_positions.c.issuer, revocation_positions.c.position))
_STATUS = select(
    _C.state,
    _C.not_after,
    _C.revoked_at,
    _C.reason,
    select(_E.at)
    .where(_E.issuer == _C.issuer, _E.serial == _C.serial)
    .order_by(_E.position.desc())
    .limit(1)
    .scalar_subquery()
    .label("changed_at"),
).where(_C.issuer == bindparam("of_issuer"), _C.serial == bindparam("of_serial"))
_CHANGED = (
    select(_E.position, _E.at, _C.serial, _C.state, _C.revoked_at, _C.reason, _C.not_after)
    .join_from(
        revocation_events,
        certificates,
        (_C.issuer == _E.issuer) & (_C.serial == _E.serial),
    )
    .where(_E.issuer == bindparam("of_issuer"), _E.position > bindparam("after"))
    .order_by(_E.position)
    .limit(bindparam("at_most"))
)
_LISTED = (CertificateState.HELD, CertificateState.REVOKED)


class SQLCertificateStore(SQLIssuerStore, SQLInventory):
    """`CertificateStore`, `StatusSource`, `RevocationLog` and `IssuerStore` on one database."""

    # ---- certificates ---------------------------------------------------------------------------

    def reserve_all(self, prepared: Sequence[Prepared], *, now: datetime) -> Sequence[Reserved]:
        rows = [_row(one, now) for one in prepared]
        try:
            # No savepoint, which costs as much as a row: a conflict ends the caller's transaction.
            with self._database.transaction() as connection:
                stored = insert_rows(connection, certificates, rows, returning=_KEY)
                add_terms(
                    connection,
                    prepared,
                    {(issuer, serial): number for issuer, serial, number in stored},
                )
        except IntegrityError as error:
            raise Conflict("this serial number or this request is being issued already") from error
        return tuple(
            Reserved(
                issuer=one.issuer,
                serial=one.serial,
                profile=one.profile,
                tbs=one.tbs,
                signature_algorithm=one.signature_algorithm,
                requester=one.requester,
            )
            for one in prepared
        )

    def complete_all(self, issued: Sequence[Issued], *, now: datetime) -> bool:
        rows = [
            {
                "of_issuer": one.issuer,
                "of_serial": to_hex(one.serial),
                "der": one.der,
                "fingerprint": one.fingerprint,
                "issued_at": now,
            }
            for one in issued
        ]
        with self._database.transaction() as connection:
            if connection.dialect.name == "postgresql":
                return run_rows(connection, _COMPLETE_TOGETHER, rows).changed == len(rows)
            return _COMPLETE.run_each(connection, rows) == len(rows)

    def fail(self, issuer: str, serial: int) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(certificates)
                .where(_is(issuer, serial), _C.state == CertificateState.RESERVED)
                .values(state=CertificateState.FAILED, request_id=None)
            )

    def find_certificate(self, issuer: str, serial: int) -> CertificateRecord | None:
        return self._find(_is(issuer, serial))

    def find_by_request(self, request_id: str) -> CertificateRecord | None:
        return self._find(_C.request_id == request_id)

    def find_by_requests(self, request_ids: Sequence[str]) -> Mapping[str, CertificateRecord]:
        if not request_ids:
            return {}
        with self._database.reading() as connection:
            rows = connection.execute(_OF_REQUESTS, {"request_ids": list(request_ids)}).all()
        return {row.request_id: record_of(row) for row in rows}

    def find_by_fingerprint(self, fingerprint: str) -> CertificateRecord | None:
        return self._find(_C.fingerprint == fingerprint)

    def list_reserved(self) -> Sequence[CertificateRecord]:
        statement = (
            select(certificates)
            .where(_C.state == CertificateState.RESERVED, _C.interrupted_at.is_(None))
            .order_by(_C.id)
        )
        with self._database.reading() as connection:
            return [record_of(row) for row in connection.execute(statement)]

    def mark_interrupted(self, issuer: str, serial: int, *, now: datetime) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(certificates)
                .where(_is(issuer, serial), _C.state == CertificateState.RESERVED)
                .values(interrupted_at=now)
            )

    def _find(self, condition: Any) -> CertificateRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(select(certificates).where(condition)).first()
        return None if row is None else record_of(row)

    # ---- status ---------------------------------------------------------------------------------

    def change_status(self, change: StatusChange) -> int | None:
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(certificates)
                .where(_is(change.issuer, change.serial), _C.state.in_(change.expected))
                .values(state=change.state, revoked_at=change.revoked_at, reason=change.reason)
            )
            if changed.rowcount != 1:
                return None
            position = _next_position(connection, change.issuer)
            connection.execute(
                insert(revocation_events).values(
                    issuer=change.issuer,
                    position=position,
                    serial=to_hex(change.serial),
                    state=change.state,
                    reason=change.reason,
                    at=change.at,
                    actor=change.actor,
                )
            )
            return position

    def find_status(self, issuer: str, serial: int) -> CertificateStatus | None:
        wanted = {"of_issuer": issuer, "of_serial": to_hex(serial)}
        with self._database.reading() as connection:
            row = connection.execute(_STATUS, wanted).first()
        if row is None:
            return None
        return CertificateStatus(
            state=CertificateState(row.state),
            not_after=row.not_after,
            revoked_at=row.revoked_at,
            reason=reason_of(row.reason),
            changed_at=row.changed_at,
        )

    def list_changed(self, issuer: str, *, after: int, limit: int) -> Sequence[Changed]:
        wanted = {"of_issuer": issuer, "after": after, "at_most": limit}
        with self._database.reading() as connection:
            rows = connection.execute(_CHANGED, wanted).all()
        found = []
        for row in rows:
            serial, entry = from_hex(row.serial), None
            if row.state in _LISTED:
                entry = RevokedEntry(serial, row.revoked_at, RevocationReason(row.reason))
            found.append(Changed(int(row.position), serial, row.at, row.not_after, entry))
        return found

    def revocation_position(self, issuer: str) -> int:
        statement = select(revocation_positions.c.position).where(
            revocation_positions.c.issuer == issuer
        )
        with self._database.reading() as connection:
            return connection.execute(statement).scalar() or 0

    def revocation_positions(self) -> Mapping[str, int]:
        return {row.issuer: row.position for row in self._database.run(_POSITIONS, {}).rows}

    def list_changes(self, issuer: str, *, after: int, limit: int) -> Sequence[tuple[int, int]]:
        columns = revocation_events.c
        statement = (
            select(columns.position, columns.serial)
            .where(columns.issuer == issuer, columns.position > after)
            .order_by(columns.position)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [(int(row.position), from_hex(row.serial)) for row in rows]


def _row(prepared: Prepared, now: datetime) -> dict[str, Any]:
    return {
        "issuer": prepared.issuer,
        "serial": to_hex(prepared.serial),
        "state": CertificateState.RESERVED,
        "profile": prepared.profile,
        "subject": prepared.subject,
        "not_before": prepared.not_before,
        "not_after": prepared.not_after,
        "tbs": prepared.tbs,
        "spki_fingerprint": hashlib.sha256(prepared.spki).hexdigest(),
        "requester": prepared.requester,
        "request_id": prepared.request_id,
        "organisation_id": prepared.organisation_id,
        "subject_id": prepared.subject_id,
        "reserved_at": now,
    }


def _is(issuer: str, serial: int) -> Any:
    return (_C.issuer == issuer) & (_C.serial == to_hex(serial))


def _next_position(connection: Connection, issuer: str) -> int:
    # The row is a lock until the commit, so that positions appear in the order of commits: a
    # reader who has seen position n has seen everything before it.
    statement = (
        sql_update(revocation_positions)
        .where(revocation_positions.c.issuer == issuer)
        .values(position=revocation_positions.c.position + 1)
        .returning(revocation_positions.c.position)
    )
    position = connection.execute(statement).scalar()
    if position is None:
        with suppress(IntegrityError), connection.begin_nested():
            connection.execute(insert(revocation_positions).values(issuer=issuer, position=0))
        position = connection.execute(statement).scalar_one()
    return int(position)
