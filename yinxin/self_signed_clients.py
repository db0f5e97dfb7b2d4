"""Letting applications with self-signed certificates through TLS (RFC 8705, 2.2).

The listener trusts our issuers. A self-signed certificate of a registered application is made an
anchor beside them, of itself: that opens the connection and nothing else, because every endpoint
asks again whose certificate it is (`authn.oidc.mutualtls`, `authn.certlogin`).
"""

from __future__ import annotations

import ssl

from authn.oidc.clients import Clients
from authn.oidc.mutualtls import registered_certificates
from authn.oidc.store import AuthMethod


class SelfSignedClients:
    """Adds the certificates of applications to a listener; they come in while it serves."""

    def __init__(self, clients: Clients, context: ssl.SSLContext) -> None:
        self._clients = clients
        self._context = context
        self._added: set[bytes] = set()

    def refresh(self) -> None:
        """Add those that are new."""
        for client in self._clients.list_clients():
            if client.auth_method is AuthMethod.SELF_SIGNED_TLS and client.metadata.jwks:
                for certificate in registered_certificates(client.metadata.jwks["keys"]):
                    if certificate not in self._added:
                        self._context.load_verify_locations(cadata=certificate)
                        self._added.add(certificate)
