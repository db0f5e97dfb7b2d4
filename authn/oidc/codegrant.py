"""``authorization_code`` (RFC 6749, 4.1.3; OIDC Core, 3.1.3): a code becomes tokens, once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, NoReturn

from authn import opaque
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidGrant
from authn.oidc.granting import Given, Granting, check_person
from authn.oidc.store import AuthorizationCode
from authn.oidc.tokenrequest import TokenRequest, TokenResponse
from authn.store import User
from core.audit import Detail, Event
from core.steps import Statements, Steps, apart

_Found = tuple[AuthorizationCode, User | None]
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class CodeGrant:
    """Redeems codes."""

    type = GrantType.AUTHORIZATION_CODE

    def __init__(self, granting: Granting) -> None:
        self._granting = granting

    def exchange(self, request: TokenRequest) -> Steps[TokenResponse]:
        """Return the tokens of a code, in steps. Raises `OAuthError`."""
        parts = self._granting
        digest = opaque.digest(request.parameters.get("code", ""))
        if parts.gives_at_once(request):
            code, owner, answer = yield from self._at_once(digest, request)
            if answer is not None:
                return answer
        else:
            code, owner = _known((yield from parts.grants.finding_code(digest)), request)
        if code.used_at is not None:
            yield from apart(partial(self._revoke, code))
        user = _checked(code, owner, request)
        made = yield from parts.making_token(code.grant, request)
        used = parts.grants.to_use_code(code.digest, request.now)
        answer = yield from parts.giving(used, code.grant, user, made, request, nonce=code.nonce)
        if answer is None:  # another call was quicker
            answer = yield from apart(partial(self._revoke, code))
        return answer

    def _at_once(
        self, digest: bytes, request: TokenRequest
    ) -> Steps[tuple[AuthorizationCode, User | None, TokenResponse | None]]:
        """Find, check and redeem a code in one transaction, if nothing about it is unusual.

        Without a response it was not redeemed: it was used before, is for resource servers, or
        does not say how its client, which hears of logouts, knows the person.
        """
        parts, found, given = self._granting, list[_Found](), list[Given]()
        client = request.client

        def redeem(ran: Sequence[Any]) -> tuple[Event, Statements] | None:
            found.clear()  # it may be the second try
            given.clear()
            code, owner = _known(parts.grants.claimed(ran[0]), request)
            found.append((code, owner))
            unknown = client.metadata.hears_of_logout and code.subject is None
            if code.used_at is not None or code.grant.resources or unknown:
                return None
            user = _checked(code, owner, request)
            made = parts.access_token(code.grant, request)
            given.append(parts.given(code.grant, user, made, request, entered=True))
            used = parts.grants.to_use_code(code.digest, request.now)
            return given[0].event, [*used, *given[0].rows]

        claim = parts.grants.to_claim_code(digest, client.id, client.metadata.logout_uris)
        yield from parts.audit.following(claim, redeem)
        ((code, owner),) = found
        if not given:
            return code, owner, None
        return code, owner, (yield from parts.answering(given[0], nonce=code.nonce))

    def _revoke(self, code: AuthorizationCode) -> NoReturn:
        """RFC 6749, 4.1.2: a code used twice was stolen; what it gave is worth nothing now."""
        parts, grant = self._granting, code.grant
        with parts.transactions.transaction():
            count = parts.grants.remove_grant(grant.id)
            detail: Detail = {
                "grant": grant.id,
                "client": grant.client_id,
                "tokens": count,
                "why": "a code was used twice",
            }
            parts.audit.record("grant.revoked", actor=grant.client_id, detail=detail)
        raise InvalidGrant("used a second time")


def _known(found: tuple[AuthorizationCode, User | None] | None, request: TokenRequest) -> _Found:
    if found is None or found[0].grant.client_id != request.client.id:
        # A code of another client is not touched: its own client can still use it.
        raise InvalidGrant("unknown code")
    return found


def _checked(code: AuthorizationCode, owner: User | None, request: TokenRequest) -> User:
    """Return whose code it is, if the request may have what it gives. Raises `InvalidGrant`."""
    check_bindings(code, request.parameters, request.now)
    if code.confirmation is not None and code.confirmation != request.confirmation:
        raise InvalidGrant("another key than the request announced (RFC 9449, 10)")
    return check_person(owner)


def check_bindings(code: AuthorizationCode, parameters: Mapping[str, str], now: datetime) -> None:
    """A code is good until it expires, for its redirect URI and its PKCE verifier."""
    if now >= code.expires_at:
        raise InvalidGrant("expired")
    if parameters.get("redirect_uri") != code.redirect_uri:
        raise InvalidGrant("another redirect_uri")
    verifier = parameters.get("code_verifier", "")
    if _VERIFIER.fullmatch(verifier) is None:
        raise InvalidGrant("no code_verifier of 43 to 128 characters")
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
    if not hmac.compare_digest(challenge, code.code_challenge.encode()):
        raise InvalidGrant("the code_verifier does not match")
