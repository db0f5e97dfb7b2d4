"""For which application somebody signs in, as the pages on the way there name it.

Its name is the registered one of the client that the way leads to: of the sealed flow, or of whom
the address is registered for that gets the ticket (CAS, forward authentication). What is written
into an address is never shown.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams
from starlette.requests import Request

from authn.assembly import Provider
from authn.legacy.entry import UnknownApplication
from authn.oidc import flow
from authn.oidc.authorize import CONTINUE
from authn.oidc.flow import FlowGone

_CAS: Final = "/cas/login"
_GATE: Final = "/gate/authorize"


def destination(request: Request, provider: Provider, next_path: str) -> str | None:
    """Return the name of the application that `next_path` leads to; None: to none, or it is over.

    Codes of devices are not looked up: each such guess has to be counted (RFC 8628, 5.1).
    """
    parts = urlsplit(next_path)
    asked = QueryParams(parts.query)  # of two the last counts, as it does where the way leads
    try:
        if parts.path.startswith(f"{CONTINUE}/"):
            flow_id = parts.path.removeprefix(f"{CONTINUE}/")
            cookie = request.cookies.get(flow.COOKIE + flow_id, "")
            client = provider.endpoints.authorization.client_of(flow_id, cookie)
            return None if client is None else client.name
        if parts.path == _CAS:
            return provider.entry.client_of_service(asked.get("service", "")).name
        if parts.path == _GATE:
            return provider.entry.client_of(asked.get("origin", "")).name
    except (FlowGone, UnknownApplication):
        return None
    return None
