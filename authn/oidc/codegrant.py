"""``authorization_code`` (RFC 6749, 4.1.3; OIDC Core, 3.1.3): a code becomes tokens, once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final, NoReturn

from authn import opaque
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidGrant
from authn.oidc.granting import Granting, check_person
from authn.oidc.store import AuthorizationCode
from authn.oidc.tokenrequest import TokenRequest, TokenResponse
from core.audit import Detail
from core.steps import Steps, apart

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class CodeGrant:
    """Redeems codes."""

    type = GrantType.AUTHORIZATION_CODE

    def __init__(self, granting: Granting) -> None:
        self._granting = granting

    def exchange(self, request: TokenRequest) -> Steps[TokenResponse]:
        """Return the tokens of a code, in steps. Raises `OAuthError`."""
        parts, client = self._granting, request.client
        digest = opaque.digest(request.parameters.get("code", ""))
        found = yield from parts.grants.finding_code(digest)
        if found is None or found[0].grant.client_id != client.id:
            # A code of another client is not touched: its own client can still use it.
            raise InvalidGrant("unknown code")
        code, owner = found
        if code.used_at is not None:
            yield from apart(partial(self._revoke, code))
        check_bindings(code, request.parameters, request.now)
        if code.confirmation is not None and code.confirmation != request.confirmation:
            raise InvalidGrant("another key than the request announced (RFC 9449, 10)")
        user = check_person(owner)
        made = yield from parts.making_token(code.grant, request)
        used = parts.grants.to_use_code(code.digest, request.now)
        answer = yield from parts.giving(used, code.grant, user, made, request, nonce=code.nonce)
        if answer is None:  # another call was quicker
            answer = yield from apart(partial(self._revoke, code))
        return answer

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
