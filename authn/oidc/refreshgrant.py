"""``refresh_token`` (RFC 6749, 6; OIDC Core, 12): rotation by family, with reuse detection."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import NoReturn

from authn.oidc import refresh
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidGrant
from authn.oidc.granting import Granting, check_person
from authn.oidc.issuing import MadeToken
from authn.oidc.refresh import Presented
from authn.oidc.store import RefreshToken
from authn.oidc.tokenrequest import TokenRequest, TokenResponse, narrow
from core.audit import Detail
from core.steps import Steps, apart


class RefreshGrant:
    """Gives new tokens for a grant that still stands."""

    type = GrantType.REFRESH_TOKEN

    def __init__(self, granting: Granting) -> None:
        self._granting = granting
        self._grace = timedelta(seconds=granting.config.oidc.refresh_grace_seconds)

    def exchange(self, request: TokenRequest) -> Steps[TokenResponse]:
        """Return new tokens, in steps. Raises `OAuthError`."""
        parts, client = self._granting, request.client
        presented = refresh.take_apart(request.required("refresh_token"))
        if presented is None:
            raise InvalidGrant("unknown refresh token")
        found = yield from parts.grants.finding_refresh_token(presented.family)
        if found is None or found[0].grant.client_id != client.id:
            raise InvalidGrant("unknown refresh token")
        row, owner = found
        if request.now >= row.expires_at:
            raise InvalidGrant("the refresh token has expired")
        if row.confirmation is not None and row.confirmation != request.confirmation:
            raise InvalidGrant("another key than the refresh token is bound to")
        grant = narrow(row.grant, request)
        user = check_person(owner)
        made = yield from parts.making_token(grant, request)
        token = yield from self._next(row, presented, request, made)
        if token is None:
            yield from apart(partial(self._reused, row, request))
        id_token = yield from parts.making_id_token(grant, user, made, request)
        return parts.answer(made, id_token=id_token, refresh_token=token)

    def _next(
        self, row: RefreshToken, presented: Presented, request: TokenRequest, made: MadeToken
    ) -> Steps[str | None]:
        """Store what was made, and return the refresh token to give with it.

        None, and nothing is stored, if what was shown is neither new nor just replaced.
        """
        store = self._granting.grants
        token: str | None
        if not refresh.is_current(row, presented):
            token = self._repeated(row, presented, request)
        elif request.client.metadata.is_fapi2:
            # FAPI 2.0 Security Profile, 5.3.2.1: no rotation, the token is bound already.
            token = f"{presented.head}.{presented.secret}"
        else:
            drawn, now = refresh.draw_next(presented), request.now
            if (
                yield from store.rotating(
                    row, made.row, current=drawn.current, step=drawn.step, now=now
                )
            ):
                return drawn.token
            # Another call was quicker. What it made of the family is what counts.
            newer = yield from apart(partial(store.find_refresh_token, row.digest))
            if newer is None:
                raise InvalidGrant("the grant was taken away meanwhile")
            token = self._repeated(newer, presented, request)
        if token is not None and not (yield from store.adding_beside(row, made.row)):
            raise InvalidGrant("the grant was taken away meanwhile")
        return token

    def _repeated(
        self, row: RefreshToken, presented: Presented, request: TokenRequest
    ) -> str | None:
        if not refresh.is_previous(row, presented) or not self._in_grace(row, request):
            return None
        return refresh.repeat_next(row, presented)

    def _in_grace(self, row: RefreshToken, request: TokenRequest) -> bool:
        return request.now <= row.rotated_at + self._grace

    def _reused(self, row: RefreshToken, request: TokenRequest) -> NoReturn:
        """RFC 9700, 4.14.2: an old token shown again means that two hold the family."""
        parts, grant = self._granting, row.grant
        newer = parts.grants.find_refresh_token(row.digest)
        if newer is not None and self._in_grace(newer, request):
            # Many threads of one client, of which one was two refreshes late: no thief gains by it.
            raise InvalidGrant("an older refresh token, just after a rotation")
        with parts.transactions.transaction():
            count = parts.grants.remove_grant(grant.id)
            detail: Detail = {
                "grant": grant.id,
                "client": grant.client_id,
                "tokens": count,
                "why": "an old refresh token was used",
            }
            parts.audit.record("grant.revoked", actor=grant.client_id, detail=detail)
        raise InvalidGrant("an old refresh token was used again")
