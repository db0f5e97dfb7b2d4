"""The authorization endpoint (OIDC Core, 3.1.2): a checked request and a session become a code."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from authn import opaque
from authn.config import AuthnConfig
from authn.forms import Fields
from authn.oidc import scopes
from authn.oidc.checks import AFTER, CHECKS, Draft, draft
from authn.oidc.errors import InvalidRequest, LoginRequired, OAuthError
from authn.oidc.grant import Grant
from authn.oidc.interaction import Check, Missing, Situation, first_missing
from authn.oidc.jwt import SigningKeys
from authn.oidc.store import AuthorizationCode, ClientStore, GrantStore
from authn.store import Session, User
from core.clock import Clock
from core.errors import Malformed

PATH: Final = "/oidc/authorize"


@dataclass(frozen=True, slots=True)
class SendBack:
    """Redirect to the client, with a code or an error."""

    uri: str


@dataclass(frozen=True, slots=True)
class Interact:
    """Redirect to a page of ours, which comes back to `next_path`."""

    page: str
    parameters: Mapping[str, str]
    next_path: str


class AuthorizationEndpoint:
    """Decides what happens with an authorization request."""

    def __init__(
        self,
        clients: ClientStore,
        grants: GrantStore,
        keys: SigningKeys,
        *,
        policy: tuple[Check, ...],
        config: AuthnConfig,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._grants = grants
        self._keys = keys
        self._policy = policy
        self._issuer = config.issuer
        self._lifetime = timedelta(seconds=config.oidc.code_seconds)
        self._clock = clock

    def decide(self, fields: Fields, session: tuple[Session, User] | None) -> SendBack | Interact:
        """Answer a request. Raises `OAuthError` only for what must be shown to the person."""
        request = draft(fields, self._clients)
        try:
            for check in CHECKS:
                check(request)
            missing = first_missing(self._policy, self._situation(request, session))
            if missing is not None:
                return self._interact(request, missing)
            if session is None:
                raise LoginRequired
            return self._give_code(request, *session)
        except OAuthError as error:
            if request.redirect_uri is None:
                raise
            answer = {"error": error.code, "error_description": error.description}
            return self._send_back(request, answer)

    def _situation(self, request: Draft, session: tuple[Session, User] | None) -> Situation:
        hint = request.parameters.get("id_token_hint")
        return Situation(
            request=request,
            session=None if session is None else session[0],
            user=None if session is None else session[1],
            now=self._clock.now(),
            hinted=None if hint is None else self._subject_of(hint),
        )

    def _subject_of(self, hint: str) -> object:
        try:
            return self._keys.read_hint(hint, issuer=self._issuer).get("sub")
        except Malformed as error:
            raise InvalidRequest(str(error)) from error

    def _interact(self, request: Draft, missing: Missing) -> Interact:
        if "none" in request.prompt:
            raise missing.error
        # Without the mark, prompt=login and max_age=0 would send the person round for ever. Whoever
        # forges it only skips a login that they could skip by leaving out prompt: the request is
        # not signed, and clients that care check auth_time (OIDC Core, 3.1.2.1 and 3.1.3.7).
        mark = {AFTER: str(int(self._clock.now().timestamp()))}
        parameters = request.parameters | mark if missing.anew else mark | request.parameters
        next_path = f"{PATH}?{urlencode(parameters)}"
        return Interact(missing.page, missing.parameters, next_path)

    def _give_code(self, request: Draft, session: Session, user: User) -> SendBack:
        if request.client is None or request.redirect_uri is None:
            raise InvalidRequest("the request was not checked")
        drawn = opaque.draw()
        self._grants.add_code(
            AuthorizationCode(
                digest=drawn.digest,
                grant=Grant(
                    id=str(uuid.uuid4()),
                    client_id=request.client.id,
                    user_id=user.id,
                    sid=session.sid,
                    scope=scopes.granted(request.scope, user),
                    auth_time=session.auth_time,
                    amr=session.amr,
                    acr=request.demand.answered_by(session.level),
                    resources=request.resources,
                ),
                redirect_uri=request.redirect_uri,
                nonce=request.parameters.get("nonce"),
                code_challenge=request.parameters["code_challenge"],
                expires_at=self._clock.now() + self._lifetime,
            )
        )
        return self._send_back(request, {"code": drawn.secret})

    def _send_back(self, request: Draft, answer: dict[str, str]) -> SendBack:
        if request.state is not None:
            answer["state"] = request.state
        answer["iss"] = self._issuer  # RFC 9207, 2: in errors too
        uri = str(request.redirect_uri)
        return SendBack(uri + ("&" if "?" in uri else "?") + urlencode(answer))
