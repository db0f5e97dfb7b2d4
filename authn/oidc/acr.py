"""How strongly a client wants people to be logged in: `acr_values` and the `claims` parameter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from authn.levels import Level, level_of
from authn.oidc.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request says about `acr`."""

    levels: tuple[Level, ...] = ()
    """Those asked for that are ours; one of them, or any stronger one, will do."""
    essential: bool = False
    """Without it there is no login (OIDC Core, 5.5.1.1); otherwise we do what we can."""

    @property
    def least(self) -> Level:
        """The weakest level that answers the request."""
        return min(self.levels, default=Level.PASSWORD)

    def answered_by(self, level: Level) -> str:
        """Return the `acr` to tell the client, for a session of this level.

        The strongest one it asked for that is reached: a client compares strings, and a stronger
        login than it named would look to it like a wrong one.
        """
        return max((one for one in self.levels if one <= level), default=level).acr


NO_DEMAND: Final = Demand()


def demand_of(parameters: Mapping[str, str]) -> Demand:
    """Read a request. Raises `InvalidRequest` for `claims` that are not what OIDC Core, 5.5 says.

    An essential `acr` without any value of ours cannot be met: its `levels` are empty, and
    `essential` says so to `authn.oidc.interaction`.
    """
    essential = _essential(parameters.get("claims"))
    if essential is not None:
        return Demand(_ours(essential), essential=True)
    return Demand(_ours(parameters.get("acr_values", "").split()))


def _ours(values: list[Any]) -> tuple[Level, ...]:
    levels = (level_of(value) for value in values if isinstance(value, str))
    return tuple(level for level in levels if level is not None)


def _essential(claims: str | None) -> list[Any] | None:
    """Return the values of an essential `acr` in the ID token, or None if there is none."""
    if claims is None:
        return None
    try:
        asked = json.loads(claims)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("claims is not JSON") from error
    wanted = asked.get("id_token") if isinstance(asked, dict) else None
    acr = wanted.get("acr") if isinstance(wanted, dict) else None
    if not isinstance(asked, dict) or not isinstance(wanted, dict | None):
        raise InvalidRequest("claims has another form than OIDC Core, 5.5")
    if not isinstance(acr, dict) or acr.get("essential") is not True:
        return None
    values = acr.get("values", [acr["value"]] if "value" in acr else None)
    if values is None:
        return None  # any acr will do, and there is always one
    if not isinstance(values, list):
        raise InvalidRequest("claims: the values of acr are not a list")
    return values
