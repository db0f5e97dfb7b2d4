"""Which key the tokens of a request are bound to, and whether a token is shown with its key."""

from __future__ import annotations

import hmac
from typing import Final

from authn.oidc import dpop, mutualtls
from authn.oidc.caller import Caller
from authn.oidc.dpop import InvalidProof, Proofs
from authn.oidc.errors import InvalidRequest, OAuthError
from authn.oidc.grant import Confirmation
from authn.oidc.store import AccessToken, Client

DPOP_CHALLENGE: Final = f'DPoP realm="yinxin", algs="{" ".join(dpop.ALGORITHMS)}"'
"""RFC 9449, 7.1."""


class SenderBinding:
    """Binds tokens to a DPoP key (RFC 9449) or to a TLS certificate (RFC 8705, 3)."""

    def __init__(self, proofs: Proofs) -> None:
        self._proofs = proofs

    def of_request(self, caller: Caller, client: Client) -> Confirmation | None:
        """Return what the tokens will be bound to; None: bearer tokens.

        Raises `OAuthError` when the client is registered for bound tokens and shows no key.
        """
        metadata = client.metadata
        proven = self._proofs.check(caller)
        if proven is not None:
            return proven
        if metadata.dpop_bound_access_tokens:
            raise InvalidProof("there is none, and this client's tokens are bound (RFC 9449, 5.2)")
        if metadata.tls_client_certificate_bound_access_tokens:
            if caller.certificate is None:
                raise InvalidRequest("tokens of this client are bound: call over mutual TLS")
            return mutualtls.confirmation(caller.certificate)
        if metadata.is_fapi2:
            raise InvalidRequest("FAPI 2.0: send a DPoP proof, or register bound tokens")
        return None

    def announced(self, caller: Caller, jkt: str | None) -> Confirmation | None:
        """Return the key that a code will be bound to (RFC 9449, 10). Raises `OAuthError`."""
        proven = self._proofs.check(caller)
        if proven is not None and jkt not in (None, proven.thumbprint):
            raise InvalidProof("dpop_jkt names another key")
        return proven

    def check_token(self, token: AccessToken, secret: str, caller: Caller, scheme: str) -> None:
        """Raises `OAuthError` unless the token is shown with the key it is bound to."""
        bound = token.confirmation
        if bound is None or bound.member != "jkt":
            if scheme != "bearer":
                raise _refused("the token is not bound to a DPoP key: show it as Bearer")
            shown = None if caller.certificate is None else mutualtls.thumbprint(caller.certificate)
            if bound is not None and not _same(bound, shown):
                raise _refused("the token is bound to another certificate")
            return
        if scheme != "dpop":
            raise _refused("the token is bound to a key: show it as DPoP, with a proof")
        try:
            proven = self._proofs.check(caller, access_token=secret)
        except OAuthError as error:  # RFC 9449, 7.1 and 9: 401 with a challenge
            challenge = {"WWW-Authenticate": f'{DPOP_CHALLENGE}, error="{error.code}"'}
            raise OAuthError(
                error.code, error.description, headers={**error.headers, **challenge}
            ) from error
        if proven is None or not _same(bound, proven.thumbprint):
            raise _refused("the proof is missing or of another key than the token's")


def _same(bound: Confirmation, thumbprint: str | None) -> bool:
    return thumbprint is not None and hmac.compare_digest(bound.thumbprint, thumbprint)


def _refused(why: str) -> OAuthError:
    challenge = {"WWW-Authenticate": f'{DPOP_CHALLENGE}, error="invalid_token"'}
    return OAuthError("invalid_token", why, headers=challenge)
