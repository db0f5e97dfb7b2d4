"""Subject identifiers: who a person is to one client (OIDC Core, 8)."""

from __future__ import annotations

import base64
import hmac
from typing import Final

from authn.oidc.clientmetadata import SubjectType
from authn.oidc.grant import Grant
from authn.oidc.purposekeys import PurposeKeys
from authn.oidc.store import Client

_PURPOSE: Final = "pairwise subject identifiers"


class SubjectIdentifiers:
    """Gives each client its own `sub` of a person, always the same one.

    Pairwise by default: HMAC-SHA-256 over the client's sector and the user's random id, under a key
    that stays the same for ever. Two clients cannot join what they know of a person, and no `sub`
    is ever an identity number. A client registered as *public* sees the user's id itself.
    """

    def __init__(self, keys: PurposeKeys) -> None:
        self._keys = keys
        self._opened = False

    def at_once(self, client: Client) -> bool:
        """Whether `of` waits for nobody: the key is in memory, or none is needed."""
        return self._opened or client.metadata.subject_type is SubjectType.PUBLIC

    def of(self, user_id: str, client: Client) -> str:
        """Return the `sub` of a user at a client. Raises `BackendUnavailable`."""
        metadata = client.metadata
        if metadata.subject_type is SubjectType.PUBLIC:
            return user_id
        sector = metadata.sector_identifier or client.id
        key = self._keys(_PURPOSE)
        self._opened = True
        octets = hmac.digest(key, f"{sector}\n{user_id}".encode(), "sha256")
        return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    def of_grant(self, grant: Grant, client: Client) -> str | None:
        """Return the `sub` that `client` sees in a grant; None if there is no person in it."""
        return None if grant.user_id is None else self.of(grant.user_id, client)
