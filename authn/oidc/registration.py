"""What a client may be registered with: the rules that its metadata has to keep together."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cryptography import x509

from authn.oidc import clientjws
from authn.oidc.clientkeys import check_jwks, parse_jwks
from authn.oidc.clientmetadata import ClientMetadata, GrantType
from authn.oidc.redirects import check_page, check_resource
from authn.oidc.store import AuthMethod
from core.errors import Malformed, Refused
from core.outbound import check_outbound_url

_FAPI2_METHODS = (AuthMethod.PRIVATE_KEY_JWT, AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS)


def check_metadata(
    metadata: ClientMetadata, method: AuthMethod, redirect_uris: Sequence[str]
) -> None:
    """Raises `Refused` with the rule that is broken, and `Malformed` for keys that are none."""
    if metadata.jwks is not None and method is not AuthMethod.SELF_SIGNED_TLS:
        check_jwks(metadata.jwks)
    if metadata.jwks_uri is not None:
        check_outbound_url(metadata.jwks_uri, what="jwks_uri")
    _check_method(metadata, method)
    for name in (metadata.token_endpoint_auth_signing_alg, metadata.request_object_signing_alg):
        if name not in (None, *clientjws.ALL, *clientjws.GM):
            raise Refused(f"clients sign with {', '.join(clientjws.ALL)}, not with {name}")
    if metadata.resource is not None:
        check_resource(metadata.resource)
    for page in (metadata.client_uri, metadata.logo_uri, metadata.policy_uri, metadata.tos_uri):
        if page is not None:
            check_page(page)
    _check_grants(metadata, method)
    if metadata.is_fapi2:
        _check_fapi2(metadata, method, redirect_uris)


def _check_method(metadata: ClientMetadata, method: AuthMethod) -> None:
    has_keys = metadata.jwks is not None or metadata.jwks_uri is not None
    if method is AuthMethod.PRIVATE_KEY_JWT and not has_keys:
        raise Refused("private_key_jwt needs jwks or jwks_uri")
    if method is AuthMethod.SELF_SIGNED_TLS:
        _check_certificates(metadata)
    if method is AuthMethod.TLS and not metadata.certificate_names:
        raise Refused("tls_client_auth needs one of the tls_client_auth_… names (RFC 8705, 2.1.2)")
    if metadata.require_signed_request_object and not has_keys:
        raise Refused("signed request objects need jwks or jwks_uri")


def _check_certificates(metadata: ClientMetadata) -> None:
    try:
        chains = [key["x5c"] for key in parse_jwks(metadata.jwks)]
        for chain in chains:
            x509.load_der_x509_certificate(base64.b64decode(chain[0]))
    except (Malformed, KeyError, IndexError, TypeError, ValueError, binascii.Error) as error:
        raise Refused(
            "self_signed_tls_client_auth needs jwks with the certificates in x5c"
        ) from error


def _check_grants(metadata: ClientMetadata, method: AuthMethod) -> None:
    if method is AuthMethod.NONE and GrantType.CLIENT_CREDENTIALS in metadata.grant_types:
        raise Refused("a public client has no credentials, so it cannot use client_credentials")
    people = {GrantType.AUTHORIZATION_CODE, GrantType.DEVICE_CODE}
    if GrantType.REFRESH_TOKEN in metadata.grant_types and not people & set(metadata.grant_types):
        raise Refused("refresh_token needs a grant type that gives refresh tokens")


def _check_fapi2(
    metadata: ClientMetadata, method: AuthMethod, redirect_uris: Sequence[str]
) -> None:
    """FAPI 2.0 Security Profile, 5.3.2.1 and 5.3.3."""
    if method not in _FAPI2_METHODS:
        raise Refused(f"FAPI 2.0 clients authenticate by {', '.join(_FAPI2_METHODS)}")
    if not (
        metadata.dpop_bound_access_tokens or metadata.tls_client_certificate_bound_access_tokens
    ):
        raise Refused("FAPI 2.0 clients have dpop_bound_… or tls_client_certificate_bound_… tokens")
    if any(not uri.startswith("https://") for uri in redirect_uris):
        raise Refused("FAPI 2.0 clients have https redirect URIs only")
