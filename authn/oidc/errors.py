"""Errors in the words of OAuth (RFC 6749, 4.1.2.1 and 5.2; OIDC Core, 3.1.2.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.errors import TrustError

_OTHERS: Final = re.compile(r"[^\x20\x21\x23-\x5B\x5D-\x7E]")
"""What an error_description may not hold (RFC 6749, 5.2)."""


class OAuthError(TrustError):
    """What a client is told. `code` is from a registry; `description` helps its developer."""

    def __init__(
        self, code: str, description: str, *, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        description = _OTHERS.sub("'", description)
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.headers = headers
        """What the answer carries besides."""


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or wrong."""

    def __init__(self, description: str) -> None:
        super().__init__("invalid_request", description)


class InvalidClient(OAuthError):
    """The client did not authenticate."""

    def __init__(self, description: str) -> None:
        super().__init__("invalid_client", description)


class InvalidGrant(OAuthError):
    """A code or token is not good. One description for every reason: the log knows which it was."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "invalid_grant", "the code or token is not valid here, was used or has expired"
        )
        self.reason = reason


class LoginRequired(OAuthError):
    """Nobody is logged in, and the client asked not to show a page."""

    def __init__(self) -> None:
        super().__init__("login_required", "the user has to log in")


class UnmetAuthenticationRequirements(OAuthError):
    """An essential `acr` that this person cannot reach (the error code of that name, OpenID)."""

    def __init__(self) -> None:
        super().__init__(
            "unmet_authentication_requirements", "the user cannot log in as strongly as that"
        )


class AccessDenied(OAuthError):
    """The person or the application's policy said no (RFC 6749, 4.1.2.1)."""

    def __init__(self, description: str) -> None:
        super().__init__("access_denied", description)


class ConsentRequired(OAuthError):
    """The person has to agree, and the client asked not to show a page."""

    def __init__(self) -> None:
        super().__init__("consent_required", "the user has to agree to what the client learns")


class AccountSelectionRequired(OAuthError):
    """The person has to choose an account, and the client asked not to show a page."""

    def __init__(self) -> None:
        super().__init__("account_selection_required", "the user has to choose an account")
