"""What review rules remember: records and their store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ca.operations import Operation, Review


@dataclass(frozen=True, slots=True)
class ReviewRule:
    """Which steps an operation needs, in a subtree."""

    id: str
    """32 hex digits."""
    operation: Operation
    profile: str | None
    """None: every profile."""
    organisation: str
    review: Review
    set_by: str
    set_at: datetime


class ReviewRuleStore(Protocol):
    """Remembers rules. Every method joins the open transaction, or is durable on its own."""

    def lock_tree(self) -> None:
        """Let nobody else change the tree or its rules until the open transaction ends."""
        ...

    def put_rule(self, rule: ReviewRule) -> None:
        """Set a rule in the place of the one for the same operation, profile and organisation."""
        ...

    def remove_rule(self, rule_id: str) -> None: ...

    def find_rule(self, rule_id: str) -> ReviewRule | None: ...

    def find_bearing(
        self, operation: Operation, profile: str, organisation: str | None
    ) -> ReviewRule | None:
        """Return the most specific rule for an act at an organisation (None: the root).

        The nearest organisation wins, and there the rule for the profile over that for all.
        """
        ...

    def list_rules(self, *, scope: frozenset[str] | None, limit: int) -> Sequence[ReviewRule]:
        """Return the rules set on organisations in `scope`, oldest first."""
        ...
