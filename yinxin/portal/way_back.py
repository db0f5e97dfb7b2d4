"""From a form that was not taken, as it was too old or came too often, to where it is made anew."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from fastapi import Request

from authn.forms import field, parse_fields
from core.errors import Malformed
from yinxin.portal.next_path import own_path

_PAGES: Final = ("/account/security", "/account", "/certificates", "/device")
"""Pages with forms of one's own, the longest path first."""
_ON_THE_WAY: Final = ("/login/consent", "/login/select", "/login/step-up", "/account/switch")
"""Forms to which the way itself leads, if there is still something to ask."""
_NAMES: Final = {"/login": "login_hint", "/login/password": "name"}
"""Forms that can be opened with the name that was typed, and by which parameter."""


async def way_back(request: Request) -> str:
    """Return the page of the form that a request sent, with where it led to. Never its secrets."""
    path = request.url.path
    if path.startswith("/setup/"):
        return path
    if not path.startswith("/login") and path not in _ON_THE_WAY:
        return next((one for one in _PAGES if path.startswith(one)), "/")
    try:
        fields = parse_fields(await request.body())
    except Malformed:
        return "/"
    next_path = own_path(field(fields, "next"))
    if path in _ON_THE_WAY:
        return next_path
    asked = {"next": next_path}
    if path in _NAMES:
        asked[_NAMES[path]] = field(fields, "name")[:64]
    return f"{path}?{urlencode(asked)}"
