"""What the routes of the authority share: who may call them, and how problems look in OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Query

from core.http import PROBLEM_JSON, require_role
from core.identity import Principal, Role

Writer = Annotated[Principal, Depends(require_role(Role.BUSINESS))]
Reader = Annotated[Principal, Depends(require_role(Role.BUSINESS, Role.AUDIT))]

Cursor = Annotated[str | None, Query(max_length=18, description="next_cursor of the last page.")]
Limit = Annotated[int, Query(ge=1, le=1000)]

_MEANING: Final = {
    400: "Malformed: what was sent cannot be read.",
    401: "Nobody is authenticated.",
    403: "The role does not allow it.",
    404: "There is no such thing.",
    409: "The present state does not allow it.",
    413: "Too large.",
    422: "Understood, and refused by policy.",
    503: "Something we depend on cannot be reached; nothing was done.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problem answers of a route (RFC 9457)."""
    return {
        status: {
            "description": _MEANING[status],
            "content": {
                PROBLEM_JSON: {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "type": {"type": "string"},
                            "title": {"type": "string"},
                            "status": {"type": "integer"},
                            "detail": {"type": "string"},
                            "request_id": {"type": "string"},
                        },
                    }
                }
            },
        }
        for status in (400, 401, 403, *statuses)
    }
