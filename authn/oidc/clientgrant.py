"""``client_credentials`` (RFC 6749, 4.4): a client acts for itself."""

from __future__ import annotations

import uuid
from dataclasses import replace

from authn.oidc import scopes
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import OAuthError
from authn.oidc.grant import Grant
from authn.oidc.granting import Granting
from authn.oidc.tokenrequest import TokenRequest, TokenResponse
from core.steps import Steps


class ClientCredentialsGrant:
    """Gives a client a token of its own. Nobody is in it: no ID token, no userinfo, no refresh.

    Not an audit event: it gives nothing that the registration did not give. It is counted.
    """

    type = GrantType.CLIENT_CREDENTIALS

    def __init__(self, granting: Granting) -> None:
        self._granting = granting

    def exchange(self, request: TokenRequest) -> Steps[TokenResponse]:
        """Return an access token, in steps. Raises `OAuthError`."""
        parts, client = self._granting, request.client
        if client.public:
            raise OAuthError("unauthorized_client", "a public client has no credentials")
        allowed = client.scopes - scopes.ABOUT_PEOPLE
        asked = set(request.parameters.get("scope", "").split()) or allowed
        if not asked <= allowed:
            raise OAuthError("invalid_scope", "the client is not registered for one of the scopes")
        grant = Grant(
            id=str(uuid.uuid4()),
            client_id=client.id,
            user_id=None,
            sid=None,
            scope=" ".join(sorted(asked)),
        )
        if request.resources:
            grant = replace(grant, resources=request.resources)
        made = yield from parts.making_token(grant, request)
        yield from parts.grants.adding_token(made.row)
        return parts.answer(made)
