"""What the routes of the authority share: who may call them, pages, and problems."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from ca.operations import Operation
from ca.rights import Rights
from core.http import require_role
from core.identity import Principal, Role
from core.openapi import After, Sort, problems

__all__ = [
    "After",
    "Cursor",
    "Limit",
    "Reader",
    "Sort",
    "Viewer",
    "Writer",
    "problems",
    "require_sight",
    "scope_of",
]

Writer = Annotated[Principal, Depends(require_role(Role.BUSINESS))]
Reader = Annotated[Principal, Depends(require_role(Role.BUSINESS, Role.AUDIT))]
Viewer = Annotated[Principal, Depends(require_role(Role.BUSINESS, Role.AUDIT, Role.SYSTEM))]
"""Of the tree: system administrators affiliate people to it, and open applications to it."""

Cursor = Annotated[str | None, Query(max_length=40, description="next_cursor of the last page.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


def scope_of(
    asking: Principal, rights: Rights, operation: Operation = Operation.QUERY
) -> frozenset[str] | None:
    """Return where a reader may look. Raises `Forbidden`.

    None: everywhere, as an auditor; and as a system administrator, who reads the tree alone.
    """
    if asking.role is not Role.BUSINESS:
        return None
    return rights.require_scope(asking.name, operation)


def require_sight(asking: Principal, rights: Rights, *, organisation: str | None) -> None:
    """Let an operator look who has the right to query there, and all others whom the route lets in.

    Raises `Forbidden`.
    """
    if asking.role is Role.BUSINESS:
        rights.require(asking.name, Operation.QUERY, None, organisation=organisation, profile=None)
