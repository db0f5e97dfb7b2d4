"""Key ceremonies: what was held on this installation, what waits, and proof of a transcript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.errors import Malformed
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import address_maker, as_csv, of_those
from yinxin.console.pages import ConsolePages
from yinxin.console.session import Asking

_SECTION: Final = "ceremonies"
_PATH: Final = "/api/v1/ceremonies"
_COLUMNS: Final = ("at", "action", "actor", "act", "name", "plan", "fingerprint")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "note": (
        "密钥仪式在主机上用 yinxin ceremony 进行，签发 CA 证书需在此审批。",
        "Ceremonies are held on the host (`yinxin ceremony`); CA certificates are agreed to here.",
    ),
    "waiting": ("CA 证书的审批", "Proposals of CA certificates"),
    "held": ("已举行的仪式", "What was held"),
    "act": ("事项", "Act"),
    "fingerprint": ("证书指纹（SHA-256）", "Certificate (SHA-256)"),
    "verify": ("验证仪式记录", "Verify a transcript"),
    "verify_note": (
        "上传 yinxin ceremony run 写出的 .transcript 文件，用本系统的审计密钥验证。",
        "The .transcript file of `yinxin ceremony run`; our audit key has to have signed it.",
    ),
    "file": ("记录文件", "Transcript"),
    "holds": ("记录完整、签名有效。", "The transcript is whole and its signature holds."),
    "plan": ("计划的摘要", "Plan"),
    "tbs": ("待签名内容（SHA-256）", "What was signed (SHA-256)"),
    "key": ("审计密钥（SHA-256）", "Audit key (SHA-256)"),
    "ceremony.prepared": ("已准备（密钥与序列号）", "Prepared (key and serial number)"),
    "ceremony.completed": ("已签名", "Signed"),
}


def add_ceremonies(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the page."""

    @router.get("/ceremonies")
    async def listed(asking: Asking, request: Request) -> Response:
        if request.query_params.get("format") == "csv":
            items = [one | one["detail"] for one in await api.get(asking, _PATH)]
            return as_csv(_SECTION, _COLUMNS, ([one.get(c) for c in _COLUMNS] for one in items))
        return await _draw(asking, request)

    @router.post("/ceremonies/verify")
    async def verify(asking: Asking, request: Request, form: Form) -> Response:
        octets = form.files.get("file")
        if not octets:
            raise Malformed("choose a file")
        answer = await api.ask(asking, "POST", f"{_PATH}/verify", octets=octets)
        return await _draw(asking, request, answer.json)

    async def _draw(
        asking: Asking, request: Request, proved: Mapping[str, Any] | None = None
    ) -> Response:
        every = await api.get(asking, _PATH)
        items, cursor = of_those(request, every, "at", "action", "actor", by="sequence")
        return pages.page(
            "ceremonies.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            address=address_maker(request),
            proposals=await api.get(asking, path_of("proposals"), act="ca-certificate", limit=100),
            proved=proved,
        )
