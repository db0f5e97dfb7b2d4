"""What the routes of the authority share: who may call them, pages, and problems."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from core.http import require_role
from core.identity import Principal, Role
from core.openapi import problems

__all__ = ["Cursor", "Limit", "Reader", "Writer", "problems"]

Writer = Annotated[Principal, Depends(require_role(Role.BUSINESS))]
Reader = Annotated[Principal, Depends(require_role(Role.BUSINESS, Role.AUDIT))]

Cursor = Annotated[str | None, Query(max_length=40, description="next_cursor of the last page.")]
Limit = Annotated[int, Query(ge=1, le=1000)]
