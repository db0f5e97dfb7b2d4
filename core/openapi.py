"""How problem answers look in the OpenAPI documents (RFC 9457)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query

from core.http import PROBLEM_JSON

Sort = Annotated[
    str | None,
    Query(
        max_length=32,
        examples=["-created"],
        description="What to sort by; with `-` in front the greatest first.",
    ),
]
After = Annotated[
    str | None, Query(max_length=200, description="The identifier of the last one seen.")
]

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
