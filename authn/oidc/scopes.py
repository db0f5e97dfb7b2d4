"""The scopes we know, and what each of them gives."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from authn.oidc.claimsrequest import parse_claims
from authn.oidc.grant import Grant
from authn.store import User

OPENID: Final = "openid"
OFFLINE_ACCESS: Final = "offline_access"
"""The refresh token outlives the session (OIDC Core, 11)."""
ADMIN: Final = "admin"
"""The token may administer this service, within the role of its user."""

ACCOUNT: Final = "account"
"""For whom the person acts, as what, and how well their name was verified."""
IDENTITY: Final = "identity"
"""The number of the identity card; never without consent."""

ABOUT_PEOPLE: Final = frozenset(
    {OPENID, "profile", "email", "phone", "address", ACCOUNT, IDENTITY, OFFLINE_ACCESS, ADMIN}
)
KNOWN: Final = ABOUT_PEOPLE
"""Of this provider; resource servers have theirs (`ClientMetadata.resource_scopes`)."""


_CLAIMS: Final[Mapping[str, tuple[str, ...]]] = {
    "profile": ("name", "preferred_username"),
    "email": ("email",),
    "phone": ("phone_number",),
    "address": ("address",),
    ADMIN: ("role",),
}


def granted(scope: str, user: User) -> str:
    """Return what of a requested scope this user can give."""
    names = set(scope.split())
    if user.role is None:
        names.discard(ADMIN)
    return " ".join(sorted(names))


def about(user: User) -> dict[str, Any]:
    """Return every claim that we could make about a user (OIDC Core, 5.1)."""
    known = {
        "name": user.display_name,
        "preferred_username": user.name,
        "email": user.email,
        "phone_number": user.phone,
        # 5.1.1: all of it may be in `formatted`; an address of a Chinese town has no other parts.
        "address": None if user.address is None else {"formatted": user.address},
        "role": user.role,
    }
    return {name: value for name, value in known.items() if value is not None}


def released(grant: Grant, user: User, allowed: AbstractSet[str]) -> dict[str, Any]:
    """Return the claims for userinfo (5.4, 5.5): those of the scope, and single ones asked for.

    `allowed` are the scopes that the client is registered for: asking for single claims gets nobody
    around them.
    """
    single = names_of(allowed) & parse_claims(grant.claims).userinfo.keys()
    return _pick(user, names_of(grant.scopes) | single)


def in_id_token(grant: Grant, user: User, allowed: AbstractSet[str]) -> dict[str, Any]:
    """Return the single claims asked for in the ID token (5.5)."""
    if not grant.claims:
        return {}
    return _pick(user, names_of(allowed) & parse_claims(grant.claims).id_token.keys())


def names_of(scopes: AbstractSet[str]) -> set[str]:
    """Return which claims these scopes release."""
    return {name for scope in scopes for name in _CLAIMS.get(scope, ())}


def _pick(user: User, names: AbstractSet[str]) -> dict[str, Any]:
    return {name: value for name, value in about(user).items() if name in names}
