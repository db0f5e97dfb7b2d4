"""Finding out who asks: `core.http.principal` reads what this middleware writes.

It authenticates and never refuses: a request without a good token is nobody's, and the route
decides whether nobody may in.
"""

from __future__ import annotations

import logging

from authn import apitokens
from authn.apitokens import APITokens
from authn.certlogin import CertificateLogin
from authn.oidc import issuing
from authn.oidc.accesstokens import AccessTokens
from authn.store import User
from core.direct import in_thread
from core.errors import InvalidSignature, Malformed, NotFound, Refused, TrustError
from core.http import CLIENT_CERTIFICATE, App, Receive, Scope, Send, problem, status_of
from core.identity import Principal

log = logging.getLogger(__name__)

PRINCIPAL = "yinxin.principal"


class Authentication:
    """Sets the principal of requests below `prefixes` from a bearer token or a certificate.

    Browser sessions do not count here: a cookie that administers would need CSRF protection on
    every route of the API.
    """

    def __init__(
        self,
        app: App,
        *,
        api_tokens: APITokens,
        access_tokens: AccessTokens,
        certificates: CertificateLogin,
        prefixes: tuple[str, ...] = ("/api/", "/metrics"),
    ) -> None:
        self._app = app
        self._api_tokens = api_tokens
        self._access_tokens = access_tokens
        self._certificates = certificates
        self._prefixes = prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and str(scope["path"]).startswith(self._prefixes):
            scope.pop(PRINCIPAL, None)
            try:
                found = self._recall(scope)
                if found is None and _says_who(scope):
                    found = await in_thread(self._authenticate, scope)
            except TrustError as error:
                # We could not find out (the database is away): say so, rather than "nobody".
                log.exception("a request could not be authenticated")
                kind = type(error).__name__.lower()
                answer = problem(status_of(error), "try again later", kind=kind, request_id=None)
                await answer(scope, receive, send)
                return
            if found is not None:
                scope[PRINCIPAL] = found
        await self._app(scope, receive, send)

    def _recall(self, scope: Scope) -> Principal | None:
        """Return who asked with this API token a moment ago: a thread less for each request."""
        secret = _bearer(scope)
        if secret is None or not secret.startswith(apitokens.PREFIX):
            return None
        return _principal(self._api_tokens.recall_user(secret), "token")

    def _authenticate(self, scope: Scope) -> Principal | None:
        secret = _bearer(scope)
        if secret is not None:
            # An explicit token that is not good is an error of the caller, even when TLS would
            # have told who they are: no falling back to another identity.
            return _principal(self._by_token(secret), "token")
        certificate = scope.get(CLIENT_CERTIFICATE)
        if not isinstance(certificate, bytes):
            return None
        try:
            user = self._certificates.user_of_certificate(certificate)
        except (Malformed, Refused, InvalidSignature, NotFound) as error:
            log.info("client certificate refused", extra={"reason": str(error)})
            return None
        return _principal(user, "certificate")

    def _by_token(self, secret: str) -> User | None:
        if secret.startswith(issuing.PREFIX):
            return self._access_tokens.find_administrator(secret)
        if secret.startswith(apitokens.PREFIX):
            return self._api_tokens.find_user(secret)
        return None


def _bearer(scope: Scope) -> str | None:
    """Return the bearer token; None without Authorization, empty for another scheme."""
    authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    if not authorization:
        return None
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _says_who(scope: Scope) -> bool:
    return _bearer(scope) is not None or isinstance(scope.get(CLIENT_CERTIFICATE), bytes)


def _principal(user: User | None, method: str) -> Principal | None:
    return None if user is None else Principal(user.name, user.role, method)
