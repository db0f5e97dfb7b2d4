"""Which issuer a client belongs to: the ordinary one, or ``/gm`` for Chinese algorithms.

The endpoints are the same; what differs is the name, the keys and the discovery document. So a
client that does not know SM2 never meets an SM2 key (docs/gm-tokens.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from authn.config import AuthnConfig, GMConfig
from authn.oidc.jwt import Claims, SigningKeys
from authn.oidc.keyring import KeyRing
from authn.oidc.store import Client, IDTokenAlgorithm
from core.errors import Malformed, Misconfigured

IssuerOf = Callable[[Client], str]
"""`Issuers.name_of`."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer identifier and its keys."""

    identifier: str
    keys: SigningKeys
    gm: bool = False
    """Whether it speaks Chinese algorithms."""


class Issuers:
    """Both of them, or one."""

    def __init__(self, ring: KeyRing, *, config: AuthnConfig) -> None:
        self.ordinary = Issuer(config.issuer, ring.keys)
        self.gm = None if ring.gm_keys is None else Issuer(config.gm_issuer, ring.gm_keys, gm=True)
        self.gm_config: GMConfig = config.gm

    @property
    def all(self) -> tuple[Issuer, ...]:
        """Every issuer."""
        return (self.ordinary,) if self.gm is None else (self.ordinary, self.gm)

    def of(self, client: Client | None) -> Issuer:
        """Return the issuer of a client's tokens. Raises `Misconfigured` when it is turned off."""
        if client is None or client.id_token_algorithm is not IDTokenAlgorithm.SM2:
            return self.ordinary
        if self.gm is None:
            raise Misconfigured("the client needs the issuer /gm, which is off (authn.gm.enabled)")
        return self.gm

    def name_of(self, client: Client) -> str:
        """Return the issuer identifier of a client: what it must name as `aud`."""
        return self.of(client).identifier

    def read_hint(self, token: str) -> Claims:
        """Return the claims of an ID token of either. Raises `Malformed`; see `SigningKeys`."""
        for issuer in self.all:
            try:
                return issuer.keys.read_hint(token, issuer=issuer.identifier)
            except Malformed:
                continue
        raise Malformed("the id_token_hint is not an ID token of ours")
