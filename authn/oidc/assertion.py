"""``private_key_jwt``: a client authenticates by a JWT it signs (RFC 7523, 3; OIDC Core, 9)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from authn.oidc import clientjws
from authn.oidc.clientkeys import ClientKeys
from authn.oidc.errors import InvalidClient
from authn.oidc.issuers import IssuerOf
from authn.oidc.replays import Replays
from authn.oidc.store import Client
from core.clock import Clock
from core.errors import InvalidSignature, Malformed, Refused, Unavailable

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW: Final = timedelta(seconds=15)
"""FAPI 2.0 Security Profile, 5.3.2.1 (13): ten seconds at least, sixty at most."""
_LONGEST: Final = timedelta(hours=1)


class ClientAssertions:
    """Checks assertions; each is good once."""

    def __init__(
        self, keys: ClientKeys, replays: Replays, *, issuer: IssuerOf, clock: Clock
    ) -> None:
        self._keys = keys
        self._replays = replays
        self._issuer_of = issuer
        self._clock = clock

    def named_client(self, assertion: str) -> str:
        """Return the client that an assertion is about, unverified: to find its keys."""
        return clientjws.unverified_subject(assertion)

    def check(self, assertion: str, client: Client, url: str) -> None:
        """Raises `InvalidClient`; `url` is the endpoint that is called."""
        try:
            self._check(assertion, client, url)
        except (Malformed, InvalidSignature, Refused) as error:
            raise InvalidClient(f"the client assertion is refused: {error}") from error
        except Unavailable as error:
            raise InvalidClient("the client's keys cannot be fetched at the moment") from error

    def _check(self, assertion: str, client: Client, url: str) -> None:
        header = clientjws.read_header(assertion, allowed(client))
        keys = self._keys.of(client, kid=header.get("kid"))
        claims = clientjws.verify(assertion, keys, allowed(client)).claims
        if claims.get("iss") != client.id or claims.get("sub") != client.id:
            raise Malformed("iss and sub must both be the client_id")
        self._check_audience(claims.get("aud"), client, url)
        expires_at = self._check_times(claims)
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 1 <= len(jti) <= 256:
            raise Malformed("jti must be a text of 1 to 256 characters")
        if not self._replays.first_use("assertion", client.id, jti, expires_at=expires_at):
            raise Refused("its jti was used before")

    def _check_audience(self, audience: Any, client: Client, url: str) -> None:
        issuer = self._issuer_of(client)
        if audience == issuer:
            return
        # Only the issuer is safe against a provider that passes assertions on (FAPI 2.0, 5.3.2.1);
        # clients of RFC 7523 name the endpoint, and are served unless they are held to FAPI.
        named = [audience] if isinstance(audience, str) else audience
        # The path of the token endpoint is on the origin of the call, whichever endpoint it is for.
        token_endpoint = f"{url.rpartition('/')[0]}/token"
        fine = isinstance(named, list) and named in ([url], [issuer], [token_endpoint])
        if client.metadata.is_fapi2 or not fine:
            raise Malformed("aud must be the issuer identifier, as a text")

    def _check_times(self, claims: Mapping[str, Any]) -> datetime:
        now = self._clock.now()
        exp, nbf = clientjws.number(claims, "exp"), clientjws.number(claims, "nbf")
        iat = clientjws.number(claims, "iat")
        if exp is None:
            raise Malformed("exp is missing")
        expires_at = datetime.fromtimestamp(exp, UTC)
        if now >= expires_at + _SKEW:
            raise Refused("it has expired")
        if expires_at > now + _LONGEST + _SKEW:
            raise Refused("it is good for longer than an hour")
        for start in (nbf, iat):
            if start is not None and datetime.fromtimestamp(start, UTC) > now + _SKEW:
                raise Refused("it is not good yet")
        return expires_at + _SKEW


def allowed(client: Client) -> tuple[str, ...]:
    """Return the algorithms that a client may sign with."""
    pinned = client.metadata.token_endpoint_auth_signing_alg
    offered = clientjws.offered(client)
    return offered if pinned is None else tuple(name for name in offered if name == pinned)
