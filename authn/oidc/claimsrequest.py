"""The `claims` parameter: single claims that a client asks for (OIDC Core, 5.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from authn.oidc.errors import InvalidRequest

_PLACES: Final = ("id_token", "userinfo")


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """What is asked for in each place: names, and what values they should have."""

    id_token: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    userinfo: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def subject(self) -> str | None:
        """The one person the client wants, if it names one (5.5.1)."""
        for place in (self.id_token, self.userinfo):
            value = place.get("sub", {}).get("value")
            if isinstance(value, str):
                return value
        return None


NOTHING: Final = ClaimsRequest()


def parse_claims(text: str) -> ClaimsRequest:
    """Read the parameter; the empty text asks for nothing. Raises `InvalidRequest`."""
    if not text:
        return NOTHING
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("claims is not JSON") from error
    if not isinstance(asked, dict):
        raise InvalidRequest("claims is not a JSON object (OIDC Core, 5.5)")
    return ClaimsRequest(*(_place(asked.get(name)) for name in _PLACES))


def _place(asked: Any) -> dict[str, dict[str, Any]]:
    if asked is None:
        return {}
    if not isinstance(asked, dict) or any(
        value is not None and not isinstance(value, dict) for value in asked.values()
    ):
        raise InvalidRequest("claims has another form than OIDC Core, 5.5")
    return {name: value or {} for name, value in asked.items()}
