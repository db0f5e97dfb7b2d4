"""The provider's description of itself (OIDC Discovery 1.0, 3; RFC 8414, 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authn.levels import Level
from authn.oidc import scopes
from authn.oidc.clientmetadata import GrantType
from authn.oidc.jwt import SigningKeys
from authn.oidc.store import AuthMethod


def metadata(issuer: str, keys: SigningKeys, grant_types: Sequence[GrantType]) -> dict[str, Any]:
    """Return the discovery document. What is not listed here is not supported."""
    methods = [str(method) for method in AuthMethod]
    keyed = [str(method) for method in AuthMethod if method is not AuthMethod.NONE]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oidc/authorize",
        "token_endpoint": f"{issuer}/oidc/token",
        "userinfo_endpoint": f"{issuer}/oidc/userinfo",
        "jwks_uri": f"{issuer}/oidc/jwks",
        "end_session_endpoint": f"{issuer}/oidc/logout",
        "revocation_endpoint": f"{issuer}/oidc/revoke",
        "introspection_endpoint": f"{issuer}/oidc/introspect",
        "scopes_supported": sorted(scopes.KNOWN),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [kind.value for kind in grant_types],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted(keys.algorithms),
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": keyed,
        "revocation_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login"],
        "acr_values_supported": [level.acr for level in Level],
        "claims_supported": [
            *("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr"),
            *("sid", "jti", "name", "preferred_username", "email", "role"),
        ],
        "ui_locales_supported": ["zh-CN", "en"],
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "authorization_response_iss_parameter_supported": True,
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
