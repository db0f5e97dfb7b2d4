"""`keystore.escrow.store` in SQL."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from core.db import Database
from core.errors import Conflict
from core.sqllisting import Sorting, row_of
from keystore.algorithms import KeyAlgorithm
from keystore.escrow.store import (
    Assignment,
    CentreIdentity,
    EscrowedKey,
    KeyState,
    Recovery,
    RecoveryKind,
    RecoveryState,
)
from keystore.escrow.tables import (
    escrow_approvals,
    escrow_identities,
    escrow_keys,
    escrow_recoveries,
)
from keystore.escrow.vault import Sealed
from keystore.keyref import KeyRef

_K = escrow_keys.c
_R = escrow_recoveries.c
_A = escrow_approvals.c
_I = escrow_identities.c


_OPEN = (RecoveryState.REQUESTED, RecoveryState.APPROVED)
_SORTING = Sorting(
    _R.number, created=_R.number, kind=_R.kind, state=_R.state, requester=_R.requester
)


class SQLEscrowStore:
    """`EscrowStore` and `RecoveryStore` on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- keys -----------------------------------------------------------------------------------

    def add_key(self, key: EscrowedKey) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                insert(escrow_keys).values(
                    id=key.id,
                    state=key.state,
                    algorithm=key.algorithm,
                    public_key=key.public_key,
                    spki_fingerprint=hashlib.sha256(key.public_key).hexdigest(),
                    storage_key=key.sealed.storage_key,
                    wrapped_key=key.sealed.wrapped_key,
                    ciphertext=key.sealed.ciphertext,
                    created_at=key.created_at,
                )
            )

    def take_standby(self, assignment: Assignment) -> EscrowedKey | None:
        oldest = (
            select(_K.id)
            .where(_K.algorithm == assignment.algorithm, _K.state == KeyState.STANDBY)
            .order_by(_K.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._database.transaction() as connection:
            key_id = connection.execute(oldest).scalar()
            if key_id is None:
                return None
            try:
                with connection.begin_nested():
                    connection.execute(
                        sql_update(escrow_keys)
                        .where(_K.id == key_id, _K.state == KeyState.STANDBY)
                        .values(
                            state=KeyState.IN_USE,
                            request_id=assignment.request_id,
                            signing_key=assignment.signing_key,
                            assigned_at=assignment.at,
                        )
                    )
            except IntegrityError as error:
                raise Conflict("this request is being given its key already") from error
            return self.find_key(key_id)

    def find_key(self, key_id: str) -> EscrowedKey | None:
        return self._find(_K.id == key_id)

    def find_by_request(self, request_id: str) -> EscrowedKey | None:
        return self._find(_K.request_id == request_id)

    def find_by_fingerprint(self, fingerprint: str) -> EscrowedKey | None:
        return self._find(_K.spki_fingerprint == fingerprint)

    def retire(self, request_id: str, *, at: datetime) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(escrow_keys)
                .where(_K.request_id == request_id, _K.state == KeyState.IN_USE)
                .values(state=KeyState.HISTORY, retired_at=at)
            )
            return changed.rowcount == 1

    def mark_delivered(self, key_id: str, *, at: datetime) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(escrow_keys)
                .where(_K.id == key_id, _K.state == KeyState.IN_USE, _K.delivered_at.is_(None))
                .values(delivered_at=at)
            )
            return changed.rowcount == 1

    def count_under(self, storage_key: KeyRef) -> int:
        statement = select(func.count()).where(_K.storage_key == storage_key)
        with self._database.reading() as connection:
            return int(connection.execute(statement).scalar_one())

    def list_under_others(self, storage_key: KeyRef, *, limit: int) -> Sequence[EscrowedKey]:
        others = select(escrow_keys).where(_K.storage_key != storage_key)
        with self._database.reading() as connection:
            rows = connection.execute(others.order_by(_K.number).limit(limit)).all()
        return [_key(row) for row in rows]

    def reseal(self, key_id: str, *, before: Sealed, after: Sealed) -> bool:
        unchanged = (_K.id == key_id, _K.wrapped_key == before.wrapped_key)
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(escrow_keys)
                .where(*unchanged)
                .values(storage_key=after.storage_key, wrapped_key=after.wrapped_key)
            )
            return changed.rowcount == 1

    def find_identity(self, spki_fingerprint: str) -> CentreIdentity | None:
        statement = select(escrow_identities).where(_I.spki_fingerprint == spki_fingerprint)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        return CentreIdentity(row.spki_fingerprint, bytes(row.certificate), row.created_at)

    def keep_identity(self, identity: CentreIdentity) -> CentreIdentity:
        statement = insert(escrow_identities).values(
            spki_fingerprint=identity.spki_fingerprint,
            certificate=identity.certificate,
            created_at=identity.created_at,
        )
        with self._database.transaction() as connection:
            # Two processes at a first start: the second takes what the first wrote.
            with contextlib.suppress(IntegrityError), connection.begin_nested():
                connection.execute(statement)
            return self.find_identity(identity.spki_fingerprint) or identity

    def count_keys(self, algorithm: KeyAlgorithm | None = None) -> Mapping[KeyState, int]:
        statement = select(_K.state, func.count()).group_by(_K.state)
        if algorithm is not None:
            statement = statement.where(_K.algorithm == algorithm)
        with self._database.reading() as connection:
            found = {state: int(count) for state, count in connection.execute(statement)}
        return {state: found.get(state, 0) for state in KeyState}

    def _find(self, condition: Any) -> EscrowedKey | None:
        with self._database.reading() as connection:
            row = connection.execute(select(escrow_keys).where(condition)).first()
        return None if row is None else _key(row)

    # ---- recoveries -----------------------------------------------------------------------------

    def add_recovery(self, recovery: Recovery) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                insert(escrow_recoveries).values(
                    id=recovery.id,
                    kind=recovery.kind,
                    state=recovery.state,
                    key_id=recovery.key_id,
                    recipient=recovery.recipient,
                    reason=recovery.reason,
                    requester=recovery.requester,
                    created_at=recovery.created_at,
                    expires_at=recovery.expires_at,
                )
            )

    def find_recovery(self, recovery_id: str, *, lock: bool = False) -> Recovery | None:
        statement = select(escrow_recoveries).where(_R.id == recovery_id)
        if lock:
            statement = statement.with_for_update()
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else self._recovery(row)

    def list_recoveries(
        self,
        *,
        now: datetime,
        limit: int,
        state: RecoveryState | None = None,
        requester: str | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Recovery]:
        statement = select(escrow_recoveries)
        if requester is not None:
            statement = statement.where(_R.requester == requester)
        if state is RecoveryState.EXPIRED:
            statement = statement.where(_R.state.in_(_OPEN), _R.expires_at <= now)
        elif state is not None:
            statement = statement.where(_R.state == state)
            if state in _OPEN:
                statement = statement.where(_R.expires_at > now)
        return self._list(_SORTING.page(statement, sort, row_of(_R.id, after)), limit)

    def list_of_key(self, key_id: str, *, limit: int) -> Sequence[Recovery]:
        statement = select(escrow_recoveries).where(_R.key_id == key_id)
        return self._list(statement.order_by(_R.number.desc()), limit)

    def _list(self, statement: Select[Any], limit: int) -> Sequence[Recovery]:
        with self._database.reading() as connection:
            rows = connection.execute(statement.limit(limit)).all()
        return [self._recovery(row) for row in rows]

    def add_approval(self, recovery_id: str, officer: str, *, at: datetime) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(
                    insert(escrow_approvals).values(recovery_id=recovery_id, officer=officer, at=at)
                )
        except IntegrityError as error:
            raise Conflict(f"{officer} has approved this recovery already") from error

    def change_recovery(
        self,
        recovery_id: str,
        state: RecoveryState,
        *,
        expected: tuple[RecoveryState, ...],
        at: datetime,
        by: str,
    ) -> bool:
        values: dict[str, Any] = {"state": state}
        if state is RecoveryState.REJECTED:
            values["rejected_by"] = by
        if state is RecoveryState.DELIVERED:
            values["delivered_at"] = at
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(escrow_recoveries)
                .where(_R.id == recovery_id, _R.state.in_(expected))
                .values(values)
            )
            return changed.rowcount == 1

    def _recovery(self, row: Any) -> Recovery:
        statement = select(_A.officer).where(_A.recovery_id == row.id).order_by(_A.at, _A.officer)
        with self._database.reading() as connection:
            approvers = tuple(connection.execute(statement).scalars())
        return Recovery(
            id=row.id,
            kind=RecoveryKind(row.kind),
            state=RecoveryState(row.state),
            key_id=row.key_id,
            recipient=bytes(row.recipient),
            reason=row.reason,
            requester=row.requester,
            created_at=row.created_at,
            expires_at=row.expires_at,
            approvers=approvers,
            rejected_by=row.rejected_by,
            delivered_at=row.delivered_at,
        )


def _key(row: Any) -> EscrowedKey:
    return EscrowedKey(
        id=row.id,
        state=KeyState(row.state),
        algorithm=KeyAlgorithm(row.algorithm),
        public_key=bytes(row.public_key),
        sealed=Sealed(KeyRef(row.storage_key), bytes(row.wrapped_key), bytes(row.ciphertext)),
        created_at=row.created_at,
        request_id=row.request_id,
        signing_key=row.signing_key,
        assigned_at=row.assigned_at,
        retired_at=row.retired_at,
        delivered_at=row.delivered_at,
    )
