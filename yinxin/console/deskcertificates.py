"""Certificates at a desk apart: asking for what is done to one, and what a request gave.

The authority knows the state of a certificate. The desk asks, and shows what was answered.
"""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.errors import Malformed
from core.identity import Principal, Role
from yinxin.console.api import ConsoleAPI, Problem, path_of
from yinxin.console.certificates import REASONS, TEXTS, act_body
from yinxin.console.forms import Form
from yinxin.console.lists import issuer_choices
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.queues import DESK_ACTS, FILES
from yinxin.console.session import Asking, require

_SECTION: Final = "requests"
_HERE: Final = "/console/certificates"
_NAMES: Final = {
    "chain": "chain.pem",
    "encryption_chain": "encryption-chain.pem",
    "enveloped_key": "key.der",
}


def add_desk_certificates(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the acts on certificates and the files of requests."""
    _add_files(router, api)

    @router.get("/certificates")
    async def choose(asking: Asking, request: Request) -> Response:
        require(asking, Role.BUSINESS)
        given = {name: request.query_params.get(name, "") for name in ("issuer", "serial", "act")}
        # As people copy it: with colons, spaces and capital letters.
        given["serial"] = "".join(given["serial"].replace(":", "").split()).lower()
        if all(given.values()):
            path_of(*given.values())
            return see_other("/".join((_HERE, *given.values())))
        return pages.page(
            "certificate_find.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            issuers=await issuer_choices(api, asking),
            acts=DESK_ACTS,
            given=given,
        )

    @router.get("/certificates/{issuer}/{serial}/{act}")
    async def ask(asking: Asking, request: Request, issuer: str, serial: str, act: str) -> Response:
        require(asking, Role.BUSINESS)
        path_of("certificates", issuer, serial, _known(act))
        known = await _given(api, asking, issuer, serial)
        return pages.page(
            "certificate_act.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found={
                "issuer": issuer,
                "serial": serial,
                "subject": known.get("subject") or serial,
                "not_after": known.get("not_after"),
            },
            pair=bool(known.get("encryption_chain")),
            act=act,
            reasons=REASONS,
            here_path=f"{_HERE}/{issuer}/{serial}",
            back=f"/console/requests/{known['id']}" if known else _HERE,
        )

    @router.post("/certificates/{issuer}/{serial}/{act}")
    async def do(asking: Asking, issuer: str, serial: str, act: str, form: Form) -> Response:
        path = path_of("certificates", issuer, serial, _known(act))
        done = await api.post(asking, path, act_body(act, form))
        return see_other(f"/console/requests/{done['id']}?done=1")


def _add_files(router: APIRouter, api: ConsoleAPI) -> None:
    @router.get("/requests/{request_id}/files/{name}")
    async def file(asking: Asking, request_id: str, name: str) -> Response:
        record = await api.get(asking, path_of("requests", request_id))
        if name not in FILES or not record[name]:
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", f"there is no file {name[:40]!r}")
        text = str(record[name])
        octets = base64.b64decode(text) if name == "enveloped_key" else text.encode()
        return Response(
            octets,
            media_type="application/octet-stream",
            headers={
                "Content-Disposition": f'attachment; filename="{request_id[:8]}-{_NAMES[name]}"',
                "Cache-Control": "no-store",
            },
        )


def _known(act: str) -> str:
    if act not in DESK_ACTS:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", "there is no such act")
    return act


async def _given(api: ConsoleAPI, asking: Principal, issuer: str, serial: str) -> dict[str, Any]:
    """Return the request that gave a certificate; nothing if it was not entered here."""
    try:
        page = await api.get(asking, path_of("requests"), serial=serial, limit=100)
    except Problem as problem:
        if problem.status is HTTPStatus.UNPROCESSABLE_ENTITY:
            raise Malformed(problem.detail) from problem
        raise
    of_it = (
        one for one in page["items"] if one["certificate"] == {"issuer": issuer, "serial": serial}
    )
    return next((one for one in of_it if one["chain"]), {})
