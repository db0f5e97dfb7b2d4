"""The pages that the provider needs and does not draw itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from authn.oidc.errors import OAuthError


class Pages(Protocol):
    """Draws pages. `yinxin.portal` fulfils it."""

    def oauth_error(self, request: Request, error: OAuthError) -> Response:
        """Tell the person that an application sent them here wrongly."""
        ...

    def form_post(self, request: Request, uri: str, answer: Mapping[str, str]) -> Response:
        """Let the browser post `answer` to the client (OAuth 2.0 Form Post Response Mode)."""
        ...

    def confirm_logout(self, request: Request, hidden: Mapping[str, str]) -> Response:
        """Ask whether to log out; the form posts `hidden` to ``/oidc/logout/confirm``."""
        ...

    def logged_out(
        self, request: Request, *, frames: Sequence[str] = (), then: str | None = None
    ) -> Response:
        """Say that the session has ended. Loads `frames`, and goes on to `then`, if given."""
        ...
