"""Drawing the console's pages: templates, menu, language, zone, and problems as pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse
from typing_extensions import override

from authn import cookies
from core.clock import Clock
from core.errors import Forbidden, TrustError, Unauthenticated
from core.http import status_of
from yinxin.console.api import ConsoleAPI, Problem
from yinxin.console.forms import sent_with
from yinxin.console.sections import sections_for
from yinxin.console.session import PREFIX, NotAnAdministrator, person, signed_in
from yinxin.console.words import words_of
from yinxin.portal.pages import LANGUAGE, YEAR, page_headers
from yinxin.portal.sentences import in_language
from yinxin.portal.words import LANGUAGES, choose_language
from yinxin.portal.zone import ZONES, local_time, zone_of

_STALE: Final = "stale-form"
Texts = Mapping[str, tuple[str, str]]
_NO_TEXTS: Final[Texts] = MappingProxyType({})
_NO_SECTIONS: Final[Mapping[str, Texts]] = MappingProxyType({})


class ConsolePages:
    """Draws every page of the console."""

    def __init__(
        self,
        api: ConsoleAPI,
        *,
        clock: Clock,
        texts: Mapping[str, Texts] = _NO_SECTIONS,
        frame: str = "console",
    ) -> None:
        """`texts`: the words of each section, to say what a refused form held.

        `frame`: the word for what these pages are of.
        """
        self.clock = clock
        self._frame = frame
        self._texts = texts
        self._api = api
        self._templates = Environment(
            loader=PackageLoader("yinxin.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(
        self,
        template: str,
        request: Request,
        *,
        section: str,
        texts: Texts = _NO_TEXTS,
        status: HTTPStatus = HTTPStatus.OK,
        **values: Any,
    ) -> Response:
        """Draw a template for who is signed in; `texts` are the words of its section."""
        asking = signed_in(request)
        asked, known = request.query_params.get("lang"), request.cookies.get(LANGUAGE)
        language = choose_language(
            asked if asked in LANGUAGES else known, request.headers.get("accept-language", "")
        )
        zone = zone_of(request)
        browser = cookies.browser_of(request)
        text = self._templates.get_template(template).render(
            words=words_of(language, texts),
            language=language,
            other_language="en" if language == "zh" else "zh",
            when=partial(local_time, zone=zone),
            sentence=partial(in_language, language=language),
            zone=str(zone),
            zones=ZONES,
            csrf=cookies.csrf_token(browser),
            asking=asking,
            person=person(request),
            sections=sections_for(asking, self._api),
            section=section,
            frame=self._frame,
            here=_address(request) if request.method == "GET" else PREFIX,
            query=request.query_params,
            **values,
        )
        response = HTMLResponse(text, status_code=status, headers=page_headers())
        if request.cookies.get(cookies.BROWSER) != browser:
            cookies.set_cookie(response, cookies.BROWSER, browser)
        if asked in LANGUAGES:
            cookies.set_cookie(response, LANGUAGE, language, max_age=YEAR)
        return response

    def problem(self, request: Request, problem: Problem) -> Response:
        """Draw what was refused and why, with the form as it was sent: to be mended."""
        section = request.url.path.removeprefix(f"{PREFIX}/").partition("/")[0]
        return self.page(
            "problem.html",
            request,
            section=section,
            texts=self._texts.get(section, _NO_TEXTS),
            status=problem.status,
            problem=problem,
            sent=[] if problem.kind == _STALE else sent_with(request),
            action=request.url.path,
        )


def see_other(path: str) -> RedirectResponse:
    """Send the browser to the page that shows what a form did (RFC 9110, 15.4.4)."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})


def route_class(pages: ConsolePages) -> type[APIRoute]:
    """Make the class of routes that answer every refusal with a page, once, here."""

    class ConsoleRoute(APIRoute):
        """Answers problems with a page."""

        @override
        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # FastAPI says Coroutine
            handler = super().get_route_handler()

            async def translated(request: Request) -> Response:
                try:
                    return await handler(request)
                except Unauthenticated:
                    return _to_login(request)
                except NotAnAdministrator:
                    return see_other("/")
                except Problem as problem:
                    return pages.problem(request, problem)
                except TrustError as error:
                    return pages.problem(request, _problem_of(request, error))

            return translated

    return ConsoleRoute


def _to_login(request: Request) -> Response:
    path = _address(request) if request.method == "GET" else request.url.path
    return see_other(f"/login?next={quote(path, safe='')}")


def _problem_of(request: Request, error: TrustError) -> Problem:
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    kind = type(error).__name__.lower()
    if isinstance(error, Forbidden) and request.method == "POST":
        kind = _STALE
    return Problem(status, kind, str(error))


def _address(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
