"""Drawing pages: templates, language, cookies and the headers that every page carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from authn import cookies
from authn.oidc.errors import OAuthError
from authn.oidc.flow import FlowGone
from yinxin.portal.qr import qr_svg
from yinxin.portal.sentences import in_language
from yinxin.portal.words import LANGUAGES, choose_language, words_of
from yinxin.portal.zone import local_time, zone_of

LANGUAGE: Final = "__Host-yinxin-language"
YEAR: Final = 365 * 24 * 3600

_POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_SCRIPT: Final = "; script-src 'self'"
_FORMS_STAY: Final = "; form-action 'self'"
"""Left out where a form may end at a client's redirect URI: Chrome applies form-action to every
redirect that follows the POST, those inside the client's site included (docs/oidc.md)."""


class PortalPages:
    """Draws every page; also `authn.oidc.pages.Pages`."""

    def __init__(self, *, certificates: bool = False) -> None:
        """`certificates`: the pages of a person's certificates are served here."""
        self._templates = Environment(
            loader=PackageLoader("yinxin.portal"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["qr_svg"] = qr_svg
        self._templates.globals["own_certificates"] = certificates

    def page(
        self,
        template: str,
        request: Request,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        leaves: bool = False,
        script: bool = False,
        frames: Sequence[str] = (),
        **values: Any,
    ) -> Response:
        """Draw a template. `leaves`: a form of it may end at another site.

        `script`: it runs a script of ours, for a passkey; inline scripts never run. `frames`: the
        addresses that it loads in frames.
        """
        asked = request.query_params.get("lang")
        known = request.cookies.get(LANGUAGE) or request.query_params.get("ui_locales", "")[:2]
        accepted = request.headers.get("accept-language", "")
        language = choose_language(asked if asked in LANGUAGES else known, accepted)
        browser = cookies.browser_of(request)
        text = self._templates.get_template(template).render(
            words=words_of(language),
            language=language,
            other_language="en" if language == "zh" else "zh",
            csrf=cookies.csrf_token(browser),
            frames=frames,
            when=partial(local_time, zone=zone_of(request)),
            sentence=partial(in_language, language=language),
            **values,
        )
        policy = _POLICY + (_SCRIPT if script else "") + ("" if leaves else _FORMS_STAY)
        response = HTMLResponse(
            text, status_code=status, headers=page_headers(policy + _framing(frames))
        )
        if request.cookies.get(cookies.BROWSER) != browser:
            cookies.set_cookie(response, cookies.BROWSER, browser)
        if asked in LANGUAGES:
            cookies.set_cookie(response, LANGUAGE, language, max_age=YEAR)
        return response

    def message(
        self,
        request: Request,
        word: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        detail: str | None = None,
        then: str | None = None,
        leads: str = "back_to_login",
        wait: int | None = None,
    ) -> Response:
        """Draw a page that says one thing; anything but OK is an error.

        `then`: where to go on; `leads`: the word for that. `wait`: seconds until it may work again.
        """
        return self.page(
            "message.html",
            request,
            status=status,
            word=word,
            detail=detail,
            then=then or "/login",
            leads=leads,
            wait=wait,
        )

    def oauth_error(self, request: Request, error: OAuthError) -> Response:
        if isinstance(error, FlowGone):  # the way back, a bookmark, a long pause
            status = HTTPStatus.BAD_REQUEST
            return self.message(request, "flow_gone", status=status, then="/", leads="back_home")
        return self.message(
            request, "oauth_error", status=HTTPStatus.BAD_REQUEST, detail=str(error)
        )

    def form_post(self, request: Request, uri: str, answer: Mapping[str, str]) -> Response:
        return self.page(
            "form_post.html", request, uri=uri, answer=answer, leaves=True, script=True
        )

    def confirm_logout(self, request: Request, hidden: Mapping[str, str]) -> Response:
        return self.page("logout.html", request, hidden=hidden, leaves=True)

    def logged_out(
        self, request: Request, *, frames: Sequence[str] = (), then: str | None = None
    ) -> Response:
        script = bool(frames) and then is not None
        return self.page("logged_out.html", request, frames=frames, then=then, script=script)


def _framing(frames: Sequence[str]) -> str:
    origins = dict.fromkeys(f"{urlsplit(one).scheme}://{urlsplit(one).netloc}" for one in frames)
    return f"; frame-src {' '.join(origins)}" if origins else ""


def page_headers(policy: str = _POLICY + _FORMS_STAY) -> dict[str, str]:
    """Return what every page carries, with its content security policy."""
    return {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        # The address of a setup page holds a secret.
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
