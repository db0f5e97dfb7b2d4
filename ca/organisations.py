"""The tree of organisations: province, city, county, department, unit (机构管理).

Levels may be skipped downwards and never inverted, so that nothing can stand above itself. There
is one root; what belongs to no organisation belongs to it. Nothing is ever deleted: a closed
organisation keeps its certificates, its rights and its history, and takes nothing new.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ca.codes import check_organisation_code
from ca.organisations_store import (
    ChangeKind,
    Level,
    Organisation,
    OrganisationChange,
    OrganisationPage,
    OrganisationQuery,
    OrganisationStore,
)
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Malformed, NotFound
from core.transaction import Transactions

_ID: Final = re.compile(r"[0-9a-f]{32}")
MAX_NAME: Final = 200


class Organisations:
    """Grows and changes the tree. It does not ask who may: `ca.rights` does."""

    def __init__(
        self,
        store: OrganisationStore,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def ensure_root(self, name: str, *, actor: str) -> Organisation:
        """Return the root; a province of this name is made when there is none."""
        with self._transactions.transaction():
            root = self._store.find_root()
            if root is not None:
                return root
            try:
                return self._add(None, Level.PROVINCE, name, None, actor=actor)
            except Conflict:  # another node that starts at the same time was faster
                return self.root()

    def create(
        self, parent: str, level: Level, name: str, *, code: str | None = None, actor: str
    ) -> Organisation:
        """Add an organisation below another. Raises `NotFound`, `Malformed`, `Conflict`."""
        with self._transactions.transaction():
            self._store.lock_tree()
            _check_above(self._open(parent), level)
            return self._add(parent, level, name, code, actor=actor)

    def rename(self, organisation_id: str, name: str, *, actor: str) -> Organisation:
        """Give another name; the old one stays in the history."""
        with self._transactions.transaction():
            self._store.lock_tree()
            old = self._open(organisation_id)
            new = replace(old, name=check_name(name))
            return self._change(old, new, ChangeKind.RENAMED, old.name, new.name, actor=actor)

    def move(self, organisation_id: str, parent: str, *, actor: str) -> Organisation:
        """Put an organisation, with everything below it, under another one.

        Certificates keep the organisation they were issued under: it moves, they do not.
        """
        with self._transactions.transaction():
            self._store.lock_tree()
            old = self._open(organisation_id)
            if old.parent is None:
                raise Conflict("the root cannot be moved: everything stands under it")
            above = self._open(parent)
            if organisation_id in {a.id for a in self._store.list_ancestors(above.id)}:
                raise Conflict(f"{above.name} is below {old.name}: nothing can stand above itself")
            _check_above(above, old.level)
            new = replace(old, parent=above.id)
            return self._change(old, new, ChangeKind.MOVED, old.parent, above.id, actor=actor)

    def close(self, organisation_id: str, *, actor: str) -> Organisation:
        """Take nothing new from now on. Raises `Conflict` while something open is below."""
        with self._transactions.transaction():
            self._store.lock_tree()
            old = self._open(organisation_id)
            if old.parent is None:
                raise Conflict("the root cannot be closed: everything stands under it")
            if self._store.has_open_children(organisation_id):
                raise Conflict(f"{old.name} has open organisations below: move or close them first")
            new = replace(old, closed_at=self._clock.now())
            return self._change(old, new, ChangeKind.CLOSED, None, None, actor=actor)

    def root(self) -> Organisation:
        """Raises `NotFound` before the first start."""
        found = self._store.find_root()
        if found is None:
            raise NotFound("there is no organisation yet; `yinxin serve` makes the first")
        return found

    def get(self, organisation_id: str) -> Organisation:
        """Raises `NotFound`, `Malformed`."""
        if _ID.fullmatch(organisation_id) is None:
            raise Malformed("an organisation's id is 32 hex digits; `yinxin organisation list`")
        found = self._store.find_organisation(organisation_id)
        if found is None:
            raise NotFound(f"there is no organisation {organisation_id}")
        return found

    def path(self, organisation_id: str) -> Sequence[Organisation]:
        """Return what it stands under, the root first, itself last. Raises `NotFound`."""
        return self._store.list_ancestors(self.get(organisation_id).id)

    def list_organisations(
        self,
        query: OrganisationQuery,
        *,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> OrganisationPage:
        """Return one page, oldest first."""
        return self._store.list_organisations(query, cursor=cursor, limit=limit, sort=sort)

    def history(self, organisation_id: str) -> Sequence[OrganisationChange]:
        """Return what happened to it, oldest first. Raises `NotFound`."""
        return self._store.list_changes(self.get(organisation_id).id)

    def _open(self, organisation_id: str) -> Organisation:
        found = self.get(organisation_id)
        if found.closed_at is not None:
            raise Conflict(f"{found.name} was closed on {found.closed_at:%Y-%m-%d}")
        return found

    def _add(
        self, parent: str | None, level: Level, name: str, code: str | None, *, actor: str
    ) -> Organisation:
        organisation = Organisation(
            id=secrets.token_hex(16),
            parent=parent,
            level=level,
            name=check_name(name),
            code=None if code is None else check_organisation_code(code),
            created_at=self._clock.now(),
        )
        self._store.add_organisation(organisation)
        self._remember(organisation, ChangeKind.CREATED, None, organisation.name, actor)
        detail = {"organisation": organisation.id, "parent": parent, "level": level}
        self._audit.record(
            "organisation.created", actor=actor, detail={**detail, "name": organisation.name}
        )
        return organisation

    def _change(
        self,
        old: Organisation,
        new: Organisation,
        kind: ChangeKind,
        before: str | None,
        after: str | None,
        *,
        actor: str,
    ) -> Organisation:
        if new == old:
            return old
        self._store.update_organisation(new)
        self._remember(new, kind, before, after, actor)
        self._audit.record(
            f"organisation.{kind}",
            actor=actor,
            detail={"organisation": new.id, "before": before, "after": after},
        )
        return new

    def _remember(
        self,
        organisation: Organisation,
        kind: ChangeKind,
        before: str | None,
        after: str | None,
        actor: str,
    ) -> None:
        now = self._clock.now()
        self._store.add_change(OrganisationChange(organisation.id, kind, before, after, now, actor))


def check_name(name: str) -> str:
    """Return a name as it is kept: NFC, trimmed. Raises `Malformed`."""
    text = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise Malformed(f"a name has 1 to {MAX_NAME} printable characters")
    return text


def _check_above(parent: Organisation, level: Level) -> None:
    if not parent.level.is_above(level):
        raise Conflict(
            f"a {level} cannot stand under {parent.name}, which is a {parent.level}: "
            f"the order is {' > '.join(Level)}"
        )
