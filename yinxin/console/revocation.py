"""How the revocation service is: what this host answered, and what every issuer publishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking

_SECTION: Final = "revocation"
_PUBLICATION: Final = "/api/v1/publication"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "answers": ("本机的 OCSP 应答", "OCSP answers of this host"),
    "answers_note": ("自服务启动以来，所有进程合计。", "Of all its processes, since they started."),
    "status_age": ("距上次读完状态日志（秒）", "Seconds since the status log was read"),
    "not_read": ("尚未读完", "not read yet"),
    "stored": ("直接来自本地存储", "From the local store"),
    "answer_successful": ("成功", "Successful"),
    "answer_malformed_request": ("请求有误", "Malformed request"),
    "answer_internal_error": ("内部错误", "Internal error"),
    "answer_try_later": ("稍后再试", "Try later"),
    "answer_unauthorized": ("不作回答", "Unauthorized"),
    "oldest_answer": ("最早的存储应答签于", "Oldest stored answer signed"),
    "issuers": ("签发者", "Issuers"),
    "by_issuer": ("按签发者的应答", "Answers by issuer"),
    "says_good": ("有效", "Good"),
    "says_revoked": ("已吊销", "Revoked"),
    "says_unknown": ("未知", "Unknown"),
    "share": ("来自本地存储的比例", "Share from the store"),
    "unsigned": ("等待签名", "Waiting for a signature"),
    "crl_number": ("CRL 编号", "CRL number"),
    "this_update": ("本次更新", "This update"),
    "next_update": ("下次更新", "Next update"),
    "responder_until": ("OCSP 签名证书到期", "OCSP signer ends"),
    "publication": ("目录发布", "Publication to the directory"),
    "not_configured": ("未设置目录服务。", "No directory is set."),
    "waiting": ("待发布", "Waiting"),
    "last_error": ("最近的错误", "Last error"),
    "refused": ("目录未接受的证书", "What the directory did not take"),
    "subject": ("证书", "Certificate"),
    "error": ("错误", "Error"),
    "attempts": ("次数", "Attempts"),
    "due_at": ("下次尝试", "Tried again"),
    "retry": ("立即重试", "Try again now"),
}


def add_revocation(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the page."""

    @router.get("/revocation")
    async def shown(asking: Asking, request: Request) -> Response:
        publication = None
        if asking.role in (Role.SYSTEM, Role.AUDIT) and api.serves(_PUBLICATION):
            publication = await api.get(asking, _PUBLICATION)
        return pages.page(
            "revocation.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=await api.get(asking, path_of("revocation-status")),
            publication=publication,
            acts=asking.role is Role.SYSTEM,
        )

    @router.post("/revocation/retry")
    async def retry(asking: Asking, _: Form) -> Response:
        await api.post(asking, path_of("publication", "retry"))
        return see_other("/console/revocation?done=1")
