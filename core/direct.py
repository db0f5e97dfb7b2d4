"""Routes that are called most, ahead of FastAPI: it finds out for each request what they want.

That costs as much as the answer. What a direct handler does not understand goes to the route
itself, so that validation, its errors and the documentation have one place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute

from core.http import Message, Receive, Scope, Send
from core.plain import MOST_OCTETS, Plain, PlainRoutes

P = ParamSpec("P")
R = TypeVar("R")

Direct = Callable[[Request], Awaitable[Response | None]]
"""Answers a request; None: let the route do it. Raises what the route raises."""


class DirectRoute(APIRoute):
    """A route without parameters in its path that may have a direct handler."""

    direct: Direct | None = None
    plain: Plain | None = None
    """Only below paths where the middlewares do nothing: it is called before them."""


async def in_thread(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Run a function in a thread of the event loop's, with less ado than Starlette."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, lambda: function(*arguments, **named))


class DirectRoutes:
    """Stands before an application whose routes are complete, and calls their direct handlers."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._handlers: dict[tuple[str, str], Direct] = {
            (method, route.path): route.direct
            for route in app.routes
            if isinstance(route, DirectRoute) and route.direct is not None
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = None
        if scope["type"] == "http" and not scope.get("root_path"):
            handler = self._handlers.get((scope["method"], scope["path"]))
        if handler is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            answer = await handler(request)
        except Exception as error:
            answer = await self._problem(request, error)
            if answer is None:
                raise
        if answer is None:
            await self._app(scope, _again(await request.body(), receive), send)
        else:
            await answer(scope, receive, send)

    async def _problem(self, request: Request, error: Exception) -> Response | None:
        for kind in type(error).__mro__:
            translate = self._app.exception_handlers.get(kind)
            if translate is not None:
                translated = translate(request, error)
                return translated if isinstance(translated, Response) else await translated
        return None


def plain_routes(app: FastAPI, *, octets: int) -> PlainRoutes:
    """Return the plain handlers of an application whose routes are complete."""
    return PlainRoutes(
        {
            (method.encode(), route.path.encode()): route.plain
            for route in app.routes
            if isinstance(route, DirectRoute) and route.plain is not None
            for method in route.methods or ()
        },
        min(octets, MOST_OCTETS),
    )


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
