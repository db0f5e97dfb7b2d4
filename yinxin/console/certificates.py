"""Certificates: search, one page that shows everything, and what can be done to one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Principal, Role
from yinxin.console.api import Answer, ConsoleAPI, Problem, path_of
from yinxin.console.decoded import decode
from yinxin.console.forms import Form, Posted
from yinxin.console.lists import a_page, address_maker, criteria
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking
from yinxin.console.statusnow import StatusNow

_SECTION: Final = "certificates"
_PATH: Final = "/api/v1/certificates"
_STATES: Final = ("issued", "held", "revoked", "reserved", "failed")
_CRITERIA: Final = (
    "text",
    "serial",
    "issuer",
    "state",
    "profile",
    "fingerprint",
    "spki_fingerprint",
    "requester",
    "organisation_id",
    "subject_id",
    "expires_within_days",
    "sort",
)
_FORMS: Final = ("pem", "der", "chain", "p7c")
REASONS: Final = (
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
    "unspecified",
)

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "text": ("主体（姓名、单位、域名）", "Subject (name, office, host)"),
    "serial": ("序列号", "Serial number"),
    "issuer": ("签发者", "Issuer"),
    "profile": ("证书模板", "Profile"),
    "subject": ("主体", "Subject"),
    "requester": ("录入人", "Entered by"),
    "fingerprint": ("证书指纹（SHA-256）", "Fingerprint (SHA-256)"),
    "spki_fingerprint": ("公钥指纹（SHA-256）", "Public key fingerprint (SHA-256)"),
    "expires_within_days": ("几天内到期", "Expires within days"),
    "more_criteria": ("更多条件", "More criteria"),
    "not_before": ("有效期起", "Valid from"),
    "not_after": ("有效期止", "Valid until"),
    "issued_at": ("签发时间", "Issued"),
    "revoked_at": ("吊销时间", "Revoked"),
    "organisation": ("所属机构", "Organisation"),
    "subject_now": ("持有者", "Held by"),
    "partner": ("加密证书", "Encryption certificate"),
    "status_now": ("OCSP 现在的回答", "What OCSP answers now"),
    "ocsp_good": ("正常（good）", "good"),
    "ocsp_revoked": ("已吊销（revoked）", "revoked"),
    "ocsp_unknown": ("不作回答", "no answer"),
    "fields": ("证书内容", "Fields"),
    "critical": ("关键", "critical"),
    "chain": ("证书链", "Chain"),
    "history": ("历史", "History"),
    "requests": ("相关业务", "Requests"),
    "replaces": ("替代了", "Replaces"),
    "replaced_by": ("被替代为", "Replaced by"),
    "notices": ("到期通知", "Expiry notices"),
    "recoveries": ("密钥恢复", "Key recoveries"),
    "download": ("下载", "Download"),
    "revoke": ("吊销", "Revoke"),
    "report-lost": ("挂失", "Report lost"),
    "ask_report-lost": (
        "立即冻结，再由审核人决定是否保持冻结。",
        "It is held at once; a reviewer then says whether it stays so.",
    ),
    "hold": ("冻结", "Hold"),
    "release": ("解冻", "Release"),
    "renew": ("延期", "Renew"),
    "rekey": ("换发", "Re-key"),
    "reissue": ("补发", "Re-issue"),
    "ask_revoke": (
        "吊销后不能恢复：依赖此证书的登录、VPN 和签名将立即失败。",
        "This cannot be undone: logins, tunnels and signatures that stand on it fail at once.",
    ),
    "ask_hold": (
        "冻结期间证书不可用，之后可以解冻。",
        "While it is held the certificate does not hold; it can be released later.",
    ),
    "ask_release": ("解冻后证书立即恢复可用。", "The certificate holds again at once."),
    "ask_renew": ("同一公钥，新的有效期。", "The same key with a new validity."),
    "ask_rekey": (
        "换用新公钥，新证书签发后旧证书被吊销。",
        "A new key; the old certificate is revoked when the new one is issued.",
    ),
    "ask_reissue": (
        "介质遗失：审核通过后旧证书立即吊销，订户用新公钥重新领取。",
        "The medium is lost: the old certificate is revoked as soon as this is reviewed.",
    ),
    "pair_too": (
        "此操作同时作用于同一对中的另一张证书。",
        "It acts on the other certificate of the pair, too.",
    ),
    "csr": ("证书请求（PKCS#10，PEM）", "CSR (PKCS#10, PEM)"),
    "csr_note": (
        "可不填：订户凭两码领取。",
        "May be left out: the subscriber picks up with two codes.",
    ),
    "validity_days": ("有效天数", "Days of validity"),
    "choose": ("请选择", "Choose"),
    "act_on": ("对已有证书办理业务", "Act on a certificate"),
    "act_on_note": (
        "证书序列号可在申请记录中查到；认证机构核对后答复。",
        "The serial number is in the record of its request; the authority checks and answers.",
    ),
    "act": ("业务", "What is to be done"),
    "go_on": ("下一步", "Go on"),
}

ACTS: Final[Mapping[str, tuple[str, ...]]] = {
    "issued": ("report-lost", "hold", "revoke", "renew", "rekey", "reissue"),
    "held": ("release", "revoke"),
}
"""What can be done to a certificate in a state; whether one may, the API says."""


def add_certificates(
    router: APIRouter, pages: ConsolePages, api: ConsoleAPI, status_now: StatusNow | None
) -> None:
    """Add search, page, downloads and acts. Without `status_now` no OCSP answer is shown."""
    _add_search(router, pages, api)
    _add_page(router, pages, api, status_now)
    _add_acts(router, pages, api)


def _add_search(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    @router.get("/certificates")
    async def search(asking: Asking, request: Request) -> Response:
        query = criteria(request, *_CRITERIA)
        form = request.query_params.get("format")
        if form in ("csv", "xlsx"):
            table = await api.ask(asking, "GET", _PATH, query={**query, "format": form})
            return _file(table)
        items, cursor = await a_page(api, request, _PATH, query)
        return pages.page(
            "certificates.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            states=_STATES,
            given=query,
            address=address_maker(request),
        )


def _add_page(
    router: APIRouter, pages: ConsolePages, api: ConsoleAPI, status_now: StatusNow | None
) -> None:
    @router.get("/certificates/{issuer}/{serial}")
    async def show(asking: Asking, request: Request, issuer: str, serial: str) -> Response:
        path = path_of("certificates", issuer, serial)
        found = await api.get(asking, path)
        history = await api.get(asking, f"{path}/history")
        fields, says = [], None
        if found["fingerprint"] is not None:
            der = (await api.ask(asking, "GET", path, query={"format": "der"})).body
            fields = decode(der)
            if status_now is not None:
                says = await asyncio.to_thread(status_now, issuer, der)
        return pages.page(
            "certificate.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=found,
            state=_state_of(found, pages.clock.now()),
            history=history,
            fields=fields,
            says=says,
            forms=_FORMS if fields else (),
            acts=_acts(asking, found),
            here_path=f"/console/certificates/{issuer}/{serial}",
        )

    @router.get("/certificates/{issuer}/{serial}/download")
    async def download(asking: Asking, request: Request, issuer: str, serial: str) -> Response:
        form = request.query_params.get("format", "pem")
        path = path_of("certificates", issuer, serial)
        return _file(await api.ask(asking, "GET", path, query={"format": form}))


def _add_acts(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    @router.get("/certificates/{issuer}/{serial}/{act}")
    async def ask(asking: Asking, request: Request, issuer: str, serial: str, act: str) -> Response:
        found = await api.get(asking, path_of("certificates", issuer, serial))
        if act not in _acts(asking, found):
            raise Problem(HTTPStatus.CONFLICT, "conflict", f"{act}: {found['state']}")
        history = await api.get(asking, path_of("certificates", issuer, serial, "history"))
        return pages.page(
            "certificate_act.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=found,
            pair=history["partner"] is not None,
            act=act,
            reasons=REASONS,
            here_path=f"/console/certificates/{issuer}/{serial}",
            back=f"/console/certificates/{issuer}/{serial}",
        )

    @router.post("/certificates/{issuer}/{serial}/{act}")
    async def do(asking: Asking, issuer: str, serial: str, act: str, form: Form) -> Response:
        if act not in {one for acts in ACTS.values() for one in acts}:
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", "there is no such act")
        path = path_of("certificates", issuer, serial, act)
        done = await api.post(asking, path, act_body(act, form))
        if "operation" in done:  # a request: it waits for somebody, or it gave a new certificate
            return see_other(f"/console/requests/{done['id']}?done=1")
        return see_other(f"/console/certificates/{issuer}/{serial}?done=1")


def act_body(act: str, form: Posted) -> dict[str, Any] | None:
    """Return what the API is told of an act. Raises `Malformed`."""
    if act == "revoke":
        return {"reason": form["reason"]}
    if act not in ("renew", "rekey", "reissue"):
        return None
    body: dict[str, Any] = dict(form.given("csr")) if act != "renew" else {}
    if (days := form.number("validity_days")) is not None:
        body["validity_days"] = days
    return body


def _acts(asking: Principal, found: Mapping[str, Any]) -> tuple[str, ...]:
    return ACTS.get(found["state"], ()) if asking.role is Role.BUSINESS else ()


def _state_of(found: Mapping[str, Any], now: datetime) -> str:
    """Return the state as people mean it: what was issued and has ended is expired."""
    ended = datetime.fromisoformat(found["not_after"]) < now
    return "expired" if found["state"] == "issued" and ended else str(found["state"])


def _file(answer: Answer) -> Response:
    kept = ("content-disposition", "content-type")
    headers = {name: answer.headers[name] for name in kept if name in answer.headers}
    return Response(answer.body, headers={**headers, "Cache-Control": "no-store"})
