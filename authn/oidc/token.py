"""The token endpoint (RFC 6749, 3.2): who asks, by which key, and a table of grant types."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from authn.oidc.binding import SenderBinding
from authn.oidc.caller import Caller
from authn.oidc.clientauth import ClientAuthentication, every, once
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidGrant, InvalidRequest, OAuthError
from authn.oidc.tokenrequest import TokenGrant, TokenRequest, TokenResponse
from core import observe
from core.clock import Clock
from core.steps import Steps, apart

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
        self._grants: dict[str, TokenGrant] = {grant.type.value: grant for grant in grants}
        self._issued = {
            grant.type: observe.TOKENS_ISSUED.labels(grant_type=grant.type.value)
            for grant in self._grants.values()
        }
        self._clock = clock

    @property
    def grant_types(self) -> tuple[GrantType, ...]:
        """What it can do."""
        return tuple(grant.type for grant in self._grants.values())

    def exchange(self, caller: Caller) -> Steps[TokenResponse]:
        """Return the token response, in steps. Raises `OAuthError`."""
        parameters = once(caller.fields)
        client = yield from self._authentication.authenticating(caller, parameters)
        name = parameters.get("grant_type")
        if name is None:
            raise InvalidRequest("grant_type is missing")
        grant = self._grants.get(name)
        if grant is None:
            raise OAuthError("unsupported_grant_type", "this grant_type is not supported")
        if grant.type not in client.metadata.grant_types:
            raise OAuthError("unauthorized_client", "the client is not registered for it")
        if caller.proofs:
            confirmation = yield from apart(partial(self._binding.of_request, caller, client))
        else:
            confirmation = self._binding.of_request(caller, client)
        request = TokenRequest(
            client=client,
            parameters=parameters,
            resources=every(caller.fields, "resource"),
            audiences=every(caller.fields, "audience"),
            confirmation=confirmation,
            now=self._clock.now(),
        )
        try:
            answer = yield from grant.exchange(request)
        except InvalidGrant as refusal:
            log.info("grant refused", extra={"client": client.id, "reason": refusal.reason})
            raise
        self._issued[grant.type].inc()
        return answer
