"""What the tree of organisations remembers: records and their store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Level(StrEnum):
    """How high an organisation stands, from the top down."""

    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"
    DEPARTMENT = "department"
    UNIT = "unit"

    def is_above(self, other: Level) -> bool:
        """Whether an organisation of this level may have one of the other below it."""
        order = tuple(Level)
        return order.index(self) < order.index(other)


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation."""

    id: str
    """32 hex digits."""
    parent: str | None
    """None for the root."""
    level: Level
    name: str
    code: str | None
    """行政区划代码 or 统一社会信用代码; of at most one organisation."""
    created_at: datetime
    closed_at: datetime | None = None


class ChangeKind(StrEnum):
    """What happened to an organisation."""

    CREATED = "created"
    RENAMED = "renamed"
    MOVED = "moved"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class OrganisationChange:
    """One line of an organisation's history: names, or ids of what it stood under."""

    organisation: str
    kind: ChangeKind
    before: str | None
    after: str | None
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class OrganisationPage:
    """One page of organisations, oldest first."""

    items: Sequence[Organisation]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class OrganisationQuery:
    """What to look for; None means any."""

    scope: frozenset[str] | None = None
    """Tops of the subtrees to look in."""
    parent: str | None = None
    under: str | None = None
    text: str | None = None
    """Anywhere in the name, or the whole code."""


class OrganisationStore(Protocol):
    """Remembers the tree. Every method joins the open transaction, or is durable on its own."""

    def lock_tree(self) -> None:
        """Let nobody else change the tree or the rights until the open transaction ends."""
        ...

    def add_organisation(self, organisation: Organisation) -> None:
        """Raises `Conflict` for a code in use, or for a second root."""
        ...

    def update_organisation(self, organisation: Organisation) -> None:
        """Write parent, name and closed_at; a new parent moves the whole subtree."""
        ...

    def find_organisation(self, organisation_id: str) -> Organisation | None: ...

    def find_root(self) -> Organisation | None: ...

    def list_organisations(
        self,
        query: OrganisationQuery,
        *,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> OrganisationPage: ...

    def has_open_children(self, organisation_id: str) -> bool: ...

    def list_ancestors(self, organisation_id: str) -> Sequence[Organisation]:
        """Return what it stands under, the root first, itself last."""
        ...

    def add_change(self, change: OrganisationChange) -> None: ...

    def list_changes(self, organisation_id: str) -> Sequence[OrganisationChange]:
        """Return the history, oldest first."""
        ...
