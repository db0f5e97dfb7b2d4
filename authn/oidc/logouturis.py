"""Where an application may ask to be told of a logout: checked when it is registered."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from authn.legacy.services import check_prefix
from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.redirects import check_redirect_uri
from core.errors import Refused
from core.outbound import check_outbound_url


def check_logout(metadata: ClientMetadata, redirect_uris: Sequence[str], *, may_call: bool) -> None:
    """Raises `Refused` with the rule that a logout URI breaks."""
    back, front = metadata.backchannel_logout_uri, metadata.frontchannel_logout_uri
    if back is not None:
        if not may_call:
            raise Refused(
                "authn.outbound.allowed_networks is empty, so no application can be called: name "
                "the networks that applications are in, in CIDR notation"
            )
        check_outbound_url(back, what="backchannel_logout_uri")
    for service in metadata.cas_services:
        check_redirect_uri(service)
    for prefix in metadata.cas_prefixes:
        check_prefix(prefix)
    for origin in metadata.gate_origins:
        if _origin(check_redirect_uri(origin)) != ("https", origin.removeprefix("https://")):
            raise Refused(f"a gate origin is https://host[:port] and nothing behind, not {origin}")
    if front is not None and _origin(check_redirect_uri(front)) not in map(_origin, redirect_uris):
        # Front-Channel Logout 1.0, 2: domain, port and scheme of a registered redirect URI.
        raise Refused("frontchannel_logout_uri is on the host of one of the redirect URIs")


def _origin(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.scheme, parts.netloc
