"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from authn.forms import Fields
from authn.logout.channels import LogoutChannels
from authn.oidc.clientauth import once
from authn.oidc.errors import InvalidRequest
from authn.oidc.issuers import Issuers
from authn.oidc.jwt import Claims
from authn.oidc.store import ClientStore
from authn.sessions import Sessions
from authn.store import Session
from core.errors import Malformed, Misconfigured


@dataclass(frozen=True, slots=True)
class LogoutPlan:
    """What to do with a logout request."""

    redirect: str | None
    """Where to go afterwards; None: our own page."""
    needs_confirmation: bool
    """The request does not prove that the person's own client made it (section 2)."""


class LogoutEndpoint:
    """Decides about logout requests."""

    def __init__(
        self,
        clients: ClientStore,
        issuers: Issuers,
        sessions: Sessions,
        channels: LogoutChannels,
    ) -> None:
        self._clients = clients
        self._issuers = issuers
        self._sessions = sessions
        self._channels = channels

    def plan(self, fields: Fields, session: Session | None) -> LogoutPlan:
        """Read a request. Raises `InvalidRequest`, which is shown to the person."""
        parameters = once(fields)
        hint = self._hint(parameters.get("id_token_hint"))
        client_id = parameters.get("client_id", hint.get("aud"))
        if hint and client_id != hint.get("aud"):
            raise InvalidRequest("client_id is not the client of the id_token_hint")
        proven = session is None or hint.get("sid") == session.sid
        uri = parameters.get("post_logout_redirect_uri")
        if uri is None:
            return LogoutPlan(None, not proven)
        client = self._clients.find(client_id) if isinstance(client_id, str) else None
        if client is None or uri not in client.post_logout_redirect_uris:
            raise InvalidRequest("post_logout_redirect_uri is not registered for this client")
        if "state" in parameters:
            uri += ("&" if "?" in uri else "?") + urlencode({"state": parameters["state"]})
        return LogoutPlan(uri, not proven)

    def end(self, cookie: str | None) -> tuple[str, ...]:
        """End the session of a cookie; returns what the browser has to load in frames.

        Applications with a back channel are told by the queue (`authn.logout`).
        """
        found = self._sessions.find(cookie)
        frames: tuple[str, ...] = ()
        if found is not None:
            frames = self._channels.frontchannel_of(found[0].sid, self._issuer_of)
        self._sessions.end(cookie or "")
        return frames

    def _issuer_of(self, client_id: str) -> str | None:
        client = self._clients.find(client_id)
        try:
            return None if client is None else self._issuers.name_of(client)
        except Misconfigured:  # its issuer is off; that is no reason not to log out
            return None

    def _hint(self, token: str | None) -> Claims:
        if token is None:
            return {}
        try:
            return self._issuers.read_hint(token)
        except Malformed as error:
            raise InvalidRequest(str(error)) from error
