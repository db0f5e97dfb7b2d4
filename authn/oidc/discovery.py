"""The provider's description of itself (OIDC Discovery 1.0, 3; RFC 8414, 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from authn.levels import Level
from authn.oidc import clientjws, dpop, jwe, scopes
from authn.oidc.clientmetadata import GrantType, SubjectType
from authn.oidc.issuers import Issuer
from authn.oidc.store import AuthMethod


def metadata(
    of: Issuer,
    origin: str,
    grant_types: Sequence[GrantType],
    *,
    mutual_tls: str | None = None,
) -> dict[str, Any]:
    """Return the discovery document of an issuer. What is not listed here is not supported.

    `origin` is where the endpoints are, the same for every issuer.
    `mutual_tls` is the origin where clients are asked for a TLS certificate (RFC 8705, 5).
    """
    tls = {AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS} if mutual_tls is None else set()
    methods = [str(method) for method in AuthMethod if method not in tls]
    keyed = [method for method in methods if method != AuthMethod.NONE]
    signed = list(clientjws.GM if of.gm else clientjws.ALL)
    document: dict[str, Any] = {
        "issuer": of.identifier,
        "authorization_endpoint": f"{origin}/oidc/authorize",
        **{name: origin + path for name, path in _CALLED_BY_CLIENTS.items()},
        "jwks_uri": f"{of.identifier}/oidc/jwks",
        "registration_endpoint": f"{origin}/oidc/register",
        "end_session_endpoint": f"{origin}/oidc/logout",
        "scopes_supported": sorted(scopes.KNOWN),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": [kind.value for kind in grant_types],
        "subject_types_supported": [str(kind) for kind in SubjectType],
        "id_token_signing_alg_values_supported": sorted(of.keys.algorithms),
        "request_object_signing_alg_values_supported": signed,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": signed,
        "introspection_endpoint_auth_methods_supported": keyed,
        "introspection_endpoint_auth_signing_alg_values_supported": signed,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": signed,
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "acr_values_supported": [level.acr for level in Level],
        "display_values_supported": ["page"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            *("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr"),
            *("sid", "jti", *sorted(scopes.names_of(scopes.KNOWN))),
        ],
        "ui_locales_supported": ["zh-CN", "en"],
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "authorization_response_iss_parameter_supported": True,
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "tls_client_certificate_bound_access_tokens": mutual_tls is not None,
    }
    if of.gm:
        document |= {
            "id_token_encryption_alg_values_supported": [jwe.KEY_ALGORITHM],
            "id_token_encryption_enc_values_supported": [jwe.CONTENT_ALGORITHM],
        }
    if mutual_tls is not None:
        document["mtls_endpoint_aliases"] = {
            name: mutual_tls + path for name, path in _CALLED_BY_CLIENTS.items()
        }
    return document


_CALLED_BY_CLIENTS: Final = {
    "token_endpoint": "/oidc/token",
    "userinfo_endpoint": "/oidc/userinfo",
    "revocation_endpoint": "/oidc/revoke",
    "introspection_endpoint": "/oidc/introspect",
    "pushed_authorization_request_endpoint": "/oidc/par",
    "device_authorization_endpoint": "/oidc/device_authorization",
}
