"""A grant: what one login, or a client alone, gave one client. Codes and tokens carry it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


class Confirmation(NamedTuple):
    """The key that must be shown together with a token (RFC 7800, 3.1)."""

    member: str
    """``jkt`` (RFC 9449, 6.1) or ``x5t#S256`` (RFC 8705, 3.1)."""
    thumbprint: str

    @property
    def cnf(self) -> dict[str, str]:
        """Return the claim."""
        return {self.member: self.thumbprint}


@dataclass(frozen=True, slots=True)
class Grant:
    """What was granted to whom. Narrowing it makes another value with the same `id`."""

    id: str
    client_id: str
    user_id: str | None
    """None: the client acts for itself."""
    sid: str | None
    """The session that gave it and takes it away; None: it outlives the session."""
    scope: str = ""
    auth_time: datetime | None = None
    amr: str = ""
    """The methods of the login (RFC 8176), with blanks between them."""
    acr: str = ""
    claims: str = ""
    """The `claims` parameter (OIDC Core, 5.5), checked; JSON, or nothing."""
    account: str | None = None
    """The affiliation in whose name the person acted (`authn.accounts`)."""
    resources: tuple[str, ...] = ()
    """Which resource servers it is for (RFC 8707); none: this provider."""
    actor: str | None = None
    """Who acts for the user: the client of a token exchange (RFC 8693, 4.1)."""

    @property
    def scopes(self) -> frozenset[str]:
        """The scope as a set."""
        return frozenset(self.scope.split())


def encode_grant(grant: Grant) -> str:
    """Return what a row keeps of a grant beside the columns that are searched."""
    kept = {name: value for name in _KEPT if (value := getattr(grant, name))}
    if grant.auth_time is not None:
        kept["auth_time"] = int(grant.auth_time.timestamp())
    return _encode(kept)


def decode_grant(
    text: str, *, grant_id: str, client_id: str, user_id: str | None, sid: str | None
) -> Grant:
    """Return what `encode_grant` was given."""
    kept: dict[str, Any] = json.loads(text)
    if "auth_time" in kept:
        kept["auth_time"] = datetime.fromtimestamp(kept["auth_time"], UTC)
    if "resources" in kept:
        kept["resources"] = tuple(kept["resources"])
    return Grant(id=grant_id, client_id=client_id, user_id=user_id, sid=sid, **kept)


_KEPT = tuple(
    one.name for one in fields(Grant) if one.name not in {"id", "client_id", "user_id", "sid"}
)
"""None of these differs from its default without being true."""
