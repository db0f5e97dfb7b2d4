"""Claims about accounts: for whom a person acts, how well they are known, and their number."""

from __future__ import annotations

from typing import Any

from authn.accounts import AccountKind, Accounts, Affiliation
from authn.oidc import scopes
from authn.oidc.errors import OAuthError
from authn.oidc.grant import Grant
from authn.people import IDENTITY_CARD, People
from authn.store import User
from core.errors import NotFound


class AccountClaims:
    """Makes what the scopes ``account`` and ``identity`` release."""

    def __init__(self, accounts: Accounts, people: People) -> None:
        self._accounts = accounts
        self._people = people

    def of(self, grant: Grant, user: User) -> dict[str, Any]:
        """Return the claims of a grant. Each release of a number is audited.

        Raises `OAuthError` when the person may not act for the account of the grant any more.
        """
        claims: dict[str, Any] = {}
        if scopes.ACCOUNT in grant.scopes:
            claims |= self._account(grant, user)
        if scopes.IDENTITY in grant.scopes:
            try:
                number = self._people.release(user, client_id=grant.client_id)
            except NotFound:
                return claims  # OIDC Core, 5.3.2: a claim that is not known is left out
            claims |= {"identity_type": IDENTITY_CARD, "identity_number": number}
        return claims

    def _account(self, grant: Grant, user: User) -> dict[str, Any]:
        try:
            acting = self._accounts.acting(user, grant.account)
        except NotFound as error:
            raise OAuthError("invalid_token", "the account of the token is gone") from error
        level = int(self._people.level_of(user))
        if acting is not None:
            return {
                "account_type": AccountKind.LEGAL,
                "real_name_level": level,
                "organization": self._organisation(acting),
            }
        staff = [self._organisation(one) for one in self._accounts.list_of(user)]
        return {
            "account_type": AccountKind.NATURAL,
            "real_name_level": level,
            "affiliations": [one for one in staff if one],
        }

    def _organisation(self, affiliation: Affiliation) -> dict[str, Any]:
        entry = self._accounts.directory.find(affiliation.organisation)
        if entry is None:
            return {}
        said = {"id": entry.id, "name": entry.name, "capacity": affiliation.capacity}
        return said if entry.code is None else {**said, "code": entry.code}
