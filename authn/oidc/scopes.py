"""The scopes we know, and what each of them gives."""

from __future__ import annotations

from typing import Final

from authn.store import User

OPENID: Final = "openid"
OFFLINE_ACCESS: Final = "offline_access"
"""The refresh token outlives the session (OIDC Core, 11)."""
ADMIN: Final = "admin"
"""The token may administer this service, within the role of its user."""

ABOUT_PEOPLE: Final = frozenset({OPENID, "profile", "email", OFFLINE_ACCESS, ADMIN})
KNOWN: Final = ABOUT_PEOPLE
"""Of this provider; resource servers have theirs (`ClientMetadata.resource_scopes`)."""


def granted(scope: str, user: User) -> str:
    """Return what of a requested scope this user can give."""
    names = set(scope.split())
    if user.role is None:
        names.discard(ADMIN)
    return " ".join(sorted(names))


def claims(scope: str, user: User) -> dict[str, str]:
    """Return the claims about a user that a scope releases (OIDC Core, 5.4)."""
    names = scope.split()
    released: dict[str, str] = {}
    if "profile" in names:
        released |= {"name": user.display_name, "preferred_username": user.name}
    if "email" in names and user.email is not None:
        released["email"] = user.email
    if ADMIN in names and user.role is not None:
        released["role"] = user.role
    return released
