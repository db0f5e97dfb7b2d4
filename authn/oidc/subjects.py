"""Subject identifiers: who a person is to one client (OIDC Core, 8)."""

from __future__ import annotations

from authn.oidc.grant import Grant
from authn.oidc.store import Client


class SubjectIdentifiers:
    """Gives the `sub` of a person: the user's random id, never an identity number."""

    def of(self, user_id: str, client: Client) -> str:  # noqa: ARG002
        """Return the `sub` of a user at a client."""
        return user_id

    def of_grant(self, grant: Grant, client: Client) -> str | None:
        """Return the `sub` that `client` sees in a grant; None if there is no person in it."""
        return None if grant.user_id is None else self.of(grant.user_id, client)
