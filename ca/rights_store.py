"""What rights remember: records and their store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ca.operations import Operation


class Step(StrEnum):
    """One of the hands that an operation goes through."""

    ENTRY = "entry"
    """录入; also an act that needs no review."""
    REVIEW = "review"
    """审核"""
    MAKE = "make"
    """制证"""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a right allows, wherever it holds. None: all, those of later releases too."""

    profiles: frozenset[str] | None
    operations: frozenset[Operation] | None
    steps: frozenset[Step]

    def allows(self, operation: Operation) -> bool:
        """Whether the operation is among the allowed ones, with whatever profile and step."""
        return self.operations is None or operation in self.operations

    def covers(self, operation: Operation, step: Step | None, profile: str | None) -> bool:
        """Whether this allows one act. None: the act has no step, is about no profile."""
        return (
            self.allows(operation)
            and (step is None or step in self.steps)
            and (profile is None or self.profiles is None or profile in self.profiles)
        )

    def contains(self, other: Grant) -> bool:
        """Whether everything that `other` allows is allowed here too."""
        return (
            _within(other.profiles, self.profiles)
            and _within(other.operations, self.operations)
            and other.steps <= self.steps
        )

    def meets(self, other: Grant) -> bool:
        """Whether both are about some profile."""
        if self.profiles is None or other.profiles is None:
            return True
        return not self.profiles.isdisjoint(other.profiles)

    def words(self) -> Mapping[str, str]:
        """Return the three as text, for people and the audit log."""
        return {
            "profiles": _text(self.profiles),
            "operations": _text(self.operations),
            "steps": " ".join(sorted(self.steps)),
        }


def _within(small: frozenset[str] | None, large: frozenset[str] | None) -> bool:
    return large is None or (small is not None and small <= large)


def _text(values: frozenset[str] | None) -> str:
    return "all" if values is None else " ".join(sorted(values))


@dataclass(frozen=True, slots=True)
class Right:
    """One right of one operator."""

    id: str
    """32 hex digits."""
    operator: str
    """A login name."""
    organisation: str
    grant: Grant
    granted_by: str
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A right of an operator, as it bears on one organisation."""

    organisation: str
    """Where the right begins: the top of its subtree."""
    grant: Grant
    is_root: bool
    organisation_name: str
    """Of the organisation asked about, or where the right begins if none was."""
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class RightPage:
    """One page of rights, oldest first."""

    items: Sequence[Right]
    next_cursor: str | None


class RightStore(Protocol):
    """Remembers rights. Every method joins the open transaction, or is durable on its own."""

    def lock_tree(self) -> None:
        """Let nobody else change the tree or the rights until the open transaction ends."""
        ...

    def add_right(self, right: Right) -> None: ...

    def remove_right(self, right_id: str) -> None: ...

    def find_right(self, right_id: str) -> Right | None: ...

    def list_held(self, operator: str, organisation: str | None) -> Sequence[Held]:
        """Return the operator's rights over an organisation (None: the root), in one query."""
        ...

    def list_of(self, operator: str) -> Sequence[Held]:
        """Return the operator's rights anywhere."""
        ...

    def list_related(self, operator: str, organisation: str) -> Sequence[Held]:
        """Return the operator's rights above, at and below an organisation."""
        ...

    def list_rights(
        self,
        *,
        operator: str | None,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
        sort: str | None = None,
    ) -> RightPage: ...

    def has_root_manager(self) -> bool:
        """Whether somebody may manage every right over the whole tree."""
        ...
