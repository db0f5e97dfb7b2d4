"""The token endpoint (RFC 6749, 3.2): who asks, by which key, and a table of grant types."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from authn.oidc.binding import SenderBinding
from authn.oidc.caller import Caller
from authn.oidc.clientauth import ClientAuthentication, every, once
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidGrant, InvalidRequest, OAuthError
from authn.oidc.tokenrequest import TokenGrant, TokenRequest, TokenResponse
from core import observe
from core.clock import Clock

log = logging.getLogger(__name__)


class TokenEndpoint:
    """Authenticates the client and hands its request to the grant type it names."""

    def __init__(
        self,
        authentication: ClientAuthentication,
        binding: SenderBinding,
        grants: Iterable[TokenGrant],
        *,
        clock: Clock,
    ) -> None:
        self._authentication = authentication
        self._binding = binding
        self._grants = {grant.type: grant for grant in grants}
        self._clock = clock

    @property
    def grant_types(self) -> tuple[GrantType, ...]:
        """What it can do."""
        return tuple(self._grants)

    def exchange(self, caller: Caller) -> TokenResponse:
        """Return the token response. Raises `OAuthError`."""
        parameters = once(caller.fields)
        client = self._authentication.authenticate(caller, parameters)
        name = parameters.get("grant_type")
        if name is None:
            raise InvalidRequest("grant_type is missing")
        grant = next((one for kind, one in self._grants.items() if kind.value == name), None)
        if grant is None:
            raise OAuthError("unsupported_grant_type", "this grant_type is not supported")
        if grant.type not in client.metadata.grant_types:
            raise OAuthError("unauthorized_client", "the client is not registered for it")
        request = TokenRequest(
            client=client,
            parameters=parameters,
            resources=every(caller.fields, "resource"),
            audiences=every(caller.fields, "audience"),
            confirmation=self._binding.of_request(caller, client),
            now=self._clock.now(),
        )
        try:
            answer = grant.exchange(request)
        except InvalidGrant as refusal:
            log.info("grant refused", extra={"client": client.id, "reason": refusal.reason})
            raise
        observe.TOKENS_ISSUED.labels(grant_type=grant.type.value).inc()
        return answer
