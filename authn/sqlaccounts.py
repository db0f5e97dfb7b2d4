"""Affiliations, people, access policies and consents in the database."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, Table, bindparam, delete, insert, or_, select, union, update
from sqlalchemy.exc import IntegrityError

from authn.access import OPEN, AccessPolicy
from authn.accounts import Affiliation, Capacity
from authn.consents import Consent
from authn.legacy.tables import gate_passes
from authn.oidc.tables import access_tokens, codes, refresh_tokens
from authn.people import Person, RealName
from authn.tables import sessions
from authn.tables_accounts import affiliations, client_access, consents, people
from core.db import Database
from core.errors import Conflict
from core.remembered import Remembered
from core.statements import Ran, Statement
from core.steps import Steps, asked
from core.versions import read_version

_A, _C = affiliations.c, consents.c
_MOST_KNOWN: Final = 5000
_POLICY = Statement(
    select(client_access.c.policy).where(client_access.c.client_id == bindparam("of"))
)
_CONSENT = Statement(
    select(consents).where(
        _C.user_id == bindparam("who"),
        _C.client_id == bindparam("by"),
        _C.account == bindparam("as"),
    )
)


class SQLAffiliationStore:
    """`authn.accounts.AffiliationStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, affiliation: Affiliation) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(affiliations).values(**asdict(affiliation)))
        except IntegrityError as error:
            raise Conflict("the person has this capacity there already") from error

    def find(self, affiliation_id: str) -> Affiliation | None:
        with self._database.reading() as connection:
            row = connection.execute(select(affiliations).where(_A.id == affiliation_id)).first()
        return None if row is None else _affiliation(row)

    def list_of_user(self, user_id: str, now: datetime) -> Sequence[Affiliation]:
        in_force = or_(_A.ends_at.is_(None), _A.ends_at > now)
        statement = (
            select(affiliations)
            .where(_A.user_id == user_id, in_force)
            .order_by(_A.created_at, _A.id)
        )
        with self._database.reading() as connection:
            return [_affiliation(row) for row in connection.execute(statement)]

    def remove(self, affiliation_id: str) -> bool:
        with self._database.transaction() as connection:
            gone = connection.execute(delete(affiliations).where(_A.id == affiliation_id))
        return gone.rowcount == 1


class SQLPersonStore:
    """`authn.people.PersonStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, person: Person) -> None:
        try:
            _put(self._database, people, ("user_id",), asdict(person))
        except IntegrityError as error:
            raise Conflict("this identity belongs to another user already") from error

    def find(self, user_id: str) -> Person | None:
        with self._database.reading() as connection:
            row = connection.execute(select(people).where(people.c.user_id == user_id)).first()
        if row is None:
            return None
        fields = row._asdict()
        return Person(**fields | {"real_name_level": RealName(fields["real_name_level"])})


class SQLAccessStore:
    """`authn.access.AccessStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = Remembered(
            self._read,
            lambda: database.version(client_access),
            counted=lambda: read_version(database, client_access),
            most=_MOST_KNOWN,
        )

    def find(self, client_id: str) -> AccessPolicy:
        return self._known.get(client_id)

    def recall(self, client_id: str) -> AccessPolicy | None:
        return self._known.recall(client_id)

    def _read(self, client_id: str) -> AccessPolicy:
        row = self._database.run(_POLICY, {"of": client_id}).first()
        return OPEN if row is None else AccessPolicy.decode(row.policy)

    def put(self, client_id: str, policy: AccessPolicy) -> None:
        values = {"client_id": client_id, "policy": policy.encode()}
        _put(self._database, client_access, ("client_id",), values)


class SQLConsentStore:
    """`authn.consents.ConsentStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, consent: Consent) -> None:
        _put(self._database, consents, ("user_id", "client_id", "account"), asdict(consent))

    def find(self, user_id: str, client_id: str, account: str) -> Consent | None:
        values = {"who": user_id, "by": client_id, "as": account}
        return _consent(self._database.run(_CONSENT, values))

    def finding(self, user_id: str, client_id: str, account: str) -> Steps[Consent | None]:
        values = {"who": user_id, "by": client_id, "as": account}
        (found,) = yield from asked([(_CONSENT, values)])
        return _consent(found)

    def list_of_user(self, user_id: str) -> Sequence[Consent]:
        statement = select(consents).where(_C.user_id == user_id).order_by(_C.client_id, _C.account)
        with self._database.reading() as connection:
            return [Consent(**row._asdict()) for row in connection.execute(statement)]

    def remove(self, user_id: str, client_id: str) -> bool:
        with self._database.transaction() as connection:
            gone = connection.execute(
                delete(consents).where(_C.user_id == user_id, _C.client_id == client_id)
            )
        return gone.rowcount > 0

    def holding(self, user_id: str) -> AbstractSet[str]:
        sids = _sessions_of(user_id)
        given = union(
            *(
                select(table.c.client_id).where(table.c.sid.in_(sids))
                for table in (codes, access_tokens, gate_passes)
            ),
            select(refresh_tokens.c.client_id).where(refresh_tokens.c.user_id == user_id),
        )
        with self._database.reading() as connection:
            return frozenset(connection.execute(given).scalars())

    def end_tokens(self, user_id: str, client_id: str) -> int:
        # By the columns that have an index: sessions of the person, and families of refresh tokens
        # for what outlives sessions.
        sids = _sessions_of(user_id)
        families = select(refresh_tokens.c.grant_id).where(
            refresh_tokens.c.user_id == user_id, refresh_tokens.c.client_id == client_id
        )
        total = 0
        with self._database.transaction() as connection:
            grants = connection.execute(families).scalars().all()
            for table, condition in (
                (codes, codes.c.sid.in_(sids)),
                (access_tokens, access_tokens.c.sid.in_(sids)),
                (access_tokens, access_tokens.c.grant_id.in_(grants)),
                (refresh_tokens, refresh_tokens.c.user_id == user_id),
                (gate_passes, gate_passes.c.sid.in_(sids)),
            ):
                done = connection.execute(
                    delete(table).where(condition, table.c.client_id == client_id)
                )
                total += done.rowcount
        return total


def _sessions_of(user_id: str) -> Select[Any]:
    return select(sessions.c.sid).where(sessions.c.user_id == user_id)


def _put(database: Database, table: Table, key: Sequence[str], values: dict[str, Any]) -> None:
    """Update the row of this key, or insert it; another thread may be as fast."""
    mine = [table.c[name] == values[name] for name in key]
    with database.transaction() as connection:
        for _ in range(2):
            done = connection.execute(update(table).where(*mine).values(**values))
            if done.rowcount:
                return
            try:
                with connection.begin_nested():
                    connection.execute(insert(table).values(**values))
            except IntegrityError:
                if not connection.execute(select(table).where(*mine)).first():
                    raise
            else:
                return


def _affiliation(row: Any) -> Affiliation:
    fields = row._asdict()
    return Affiliation(**fields | {"capacity": Capacity(fields["capacity"])})


def _consent(found: Ran) -> Consent | None:
    row = found.first()
    return None if row is None else Consent(**row._asdict())
