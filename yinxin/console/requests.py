"""The work queue: requests waiting for entry, review and make, and what each would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Principal, Role
from yinxin.console.api import ConsoleAPI, Problem, path_of
from yinxin.console.forms import Form, Posted
from yinxin.console.lists import (
    a_page,
    address_maker,
    as_csv,
    criteria,
    every_item,
    issuer_choices,
)
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.places import places_for
from yinxin.console.queues import AUTHORITY, DESK_ACTS, FILES, Queue
from yinxin.console.session import Asking, require

_SECTION: Final = "requests"
_PATH: Final = "/api/v1/requests"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "new_request": ("录入申请", "Enter a request"),
    "operation": ("业务", "Operation"),
    "profile": ("证书模板", "Profile"),
    "issuer": ("签发者", "Issuer"),
    "subject": ("主体", "Subject"),
    "alternative_names": ("主体备用名", "Subject alternative names"),
    "validity_days": ("有效天数", "Days of validity"),
    "requester": ("录入人", "Entered by"),
    "entered_at": ("录入时间", "Entered"),
    "decided_by": ("审核人", "Reviewed by"),
    "made_by": ("制证人", "Made by"),
    "comment": ("审核意见", "Comment"),
    "certificate": ("证书", "Certificate"),
    "target": ("原证书", "Present certificate"),
    "changes": ("变更内容", "What changes"),
    "now": ("现在", "Now"),
    "after": ("之后", "After"),
    "field": ("项目", "Field"),
    "not_after": ("有效期止", "Valid until"),
    "key": ("公钥", "Key"),
    "key_same": ("不变", "The same"),
    "key_new": ("更换", "A new one"),
    "approve": ("审核通过", "Approve"),
    "reject": ("拒绝", "Reject"),
    "reject_reason": ("拒绝原因", "Why it is rejected"),
    "make": ("制证", "Make"),
    "make_note": (
        "申请录入时没有公钥的，请粘贴介质（如 USB Key）产生的证书请求。",
        "Where the request came without a key, paste the CSR that the medium made.",
    ),
    "csr": ("证书请求（PKCS#10，PEM）", "CSR (PKCS#10, PEM)"),
    "csr_note": (
        "可不填：订户凭两码自行领取，或在制证时提供。",
        "May be left out: the subscriber picks up with two codes, or the make step brings it.",
    ),
    "csr_note_apart": (
        "可不填：审核通过后，订户凭两码自行领取。",
        "May be left out: after the review the subscriber picks up with two codes.",
    ),
    "names_note": (
        "每行一个，如 dns:vpn.example.gov.cn 或 ip:192.0.2.1",
        "One a line, such as dns:vpn.example.gov.cn or ip:192.0.2.1",
    ),
    "subject_note": (
        "不填则用证书请求中的主体。",
        "Left empty, the subject of the CSR is taken.",
    ),
    "choose_profile": ("选择模板", "Choose a profile"),
    "organisation": ("所属机构", "Organisation"),
    "submit": ("提交", "Submit"),
    "codes": ("领取两码（只显示这一次）", "Codes of the pick-up (shown this once)"),
    "codes_note": (
        "请分两个途径告知订户，例如参考号用邮件、授权码用短信。",
        "Give them to the subscriber by two ways, such as mail and a text message.",
    ),
    "reference": ("参考号", "Reference number"),
    "code": ("授权码", "Authorisation code"),
    "expires_at": ("失效时间", "Expires"),
    "resend": ("两码重发", "Send codes again"),
    "provisional": (
        "已先行冻结，等待审核确认。",
        "The certificate is held already; the review says whether it stays so.",
    ),
    "subject_find": ("主体", "Subject"),
    "serial": ("序列号", "Serial number"),
    "given": ("签发结果", "What was issued"),
    "answered_at": ("认证机构答复时间", "Answered by the authority"),
    "sent_note": (
        "已审核，等待认证机构处理；页面可以离开后再回来。",
        "Reviewed; the certificate authority is to answer. You may leave and come back.",
    ),
    "chain": ("证书链 PEM", "Certificate chain, PEM"),
    "encryption_chain": ("加密证书链 PEM", "Encryption certificate chain, PEM"),
    "enveloped_key": ("加密私钥信封", "Enveloped encryption key"),
    "act_on": ("对已有证书办理业务", "Act on a certificate"),
    "hold": ("冻结", "Hold"),
    "release": ("解冻", "Release"),
    "revoke": ("吊销", "Revoke"),
    "renew": ("延期", "Renew"),
    "rekey": ("换发", "Re-key"),
    "reissue": ("补发", "Re-issue"),
    "own": (
        "您录入的申请可能需要由他人审核。",
        "You entered this: another operator may have to review it.",
    ),
}


def add_requests(
    router: APIRouter, pages: ConsolePages, api: ConsoleAPI, queue: Queue = AUTHORITY
) -> None:
    """Add the work queue."""
    shown = _Shown(pages, api, queue)
    _add_list(router, pages, api, queue)
    _add_entry(router, shown)
    _add_steps(router, shown)
    if not queue.apart:
        _add_make(router, shown)


def _add_list(router: APIRouter, pages: ConsolePages, api: ConsoleAPI, queue: Queue) -> None:
    searched = ("operation", "subject", "serial") if queue.operations else ()

    @router.get("/requests")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "state", "sort", *searched)
        if request.query_params.get("format") == "csv":
            items = await every_item(api, asking, _PATH, query)
            rows = ([queue.line(item)[column] for column in queue.columns] for item in items)
            return as_csv("requests", queue.columns, rows)
        items, cursor = await a_page(api, request, _PATH, query)
        return pages.page(
            "requests.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            tabs=queue.states,
            operations=queue.operations,
            given=query,
            items=[queue.line(item) for item in items],
            cursor=cursor,
            address=address_maker(request),
            enters=asking.role is Role.BUSINESS,
        )


def _add_entry(router: APIRouter, shown: _Shown) -> None:
    pages, api = shown.pages, shown.api

    @router.get("/requests/new")
    async def form(asking: Asking, request: Request) -> Response:
        require(asking, Role.BUSINESS)
        profiles = await api.get(asking, path_of("profiles"))
        chosen = request.query_params.get("profile")
        profile = next((one for one in profiles if one["name"] == chosen), None)
        places = await places_for(api, request)
        return pages.page(
            "request_new.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            profiles=profiles,
            profile=profile,
            issuers=await issuer_choices(api, asking),
            places=places,
            csr_note="csr_note_apart" if shown.queue.apart else "csr_note",
        )

    @router.post("/requests/new")
    async def submit(asking: Asking, request: Request, form: Form) -> Response:
        record = await api.post(asking, _PATH, _submitted(form))
        return await shown.after(request, asking, record)


def _submitted(form: Posted) -> dict[str, Any]:
    body: dict[str, Any] = form.given("csr", "profile", "issuer", "organisation")
    subject = [
        {"type": name.removeprefix("subject-"), "value": value.strip()}
        for name, value in form.fields
        if name.startswith("subject-") and value.strip()
    ]
    if subject:
        body["subject"] = subject
    names = [line.strip() for line in form["alternative_names"].splitlines() if line.strip()]
    if names:
        body["alternative_names"] = names
    if (days := form.number("validity_days")) is not None:
        body["validity_days"] = days
    return body


def _add_steps(router: APIRouter, shown: _Shown) -> None:
    api = shown.api

    @router.get("/requests/{request_id}")
    async def show(asking: Asking, request: Request, request_id: str) -> Response:
        record = await api.get(asking, path_of("requests", request_id))
        return await shown.draw(request, asking, record)

    @router.post("/requests/{request_id}/approve")
    async def approve(asking: Asking, request: Request, request_id: str, _: Form) -> Response:
        record = await api.post(asking, path_of("requests", request_id, "approve"))
        return await shown.after(request, asking, record)

    @router.post("/requests/{request_id}/reject")
    async def reject(asking: Asking, request: Request, request_id: str, form: Form) -> Response:
        path = path_of("requests", request_id, "reject")
        record = await api.post(asking, path, {"reason": form["reason"]})
        return await shown.after(request, asking, record)

    @router.post("/requests/{request_id}/resend")
    async def resend(asking: Asking, request: Request, request_id: str, _: Form) -> Response:
        record = await api.post(asking, path_of("requests", request_id, "pickup-resend"))
        return await shown.after(request, asking, record)


def _add_make(router: APIRouter, shown: _Shown) -> None:
    @router.post("/requests/{request_id}/make")
    async def make(asking: Asking, request: Request, request_id: str, form: Form) -> Response:
        path = path_of("requests", request_id, "make")
        record = await shown.api.post(asking, path, form.given("csr"))
        return await shown.after(request, asking, record)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Shows one request, and what a step did to it."""

    pages: ConsolePages
    api: ConsoleAPI
    queue: Queue

    async def after(self, request: Request, asking: Principal, record: dict[str, Any]) -> Response:
        """Show what a step did. Codes are in this answer and nowhere else: drawn at once."""
        if record.get("codes") is None:
            return see_other(f"/console/requests/{record['id']}?done=1")
        return await self.draw(request, asking, record)

    async def draw(self, request: Request, asking: Principal, record: dict[str, Any]) -> Response:
        """Show it."""
        replaced, target = record["target"], None
        if replaced is not None and not self.queue.apart:
            path = path_of("certificates", replaced["issuer"], replaced["serial"])
            target = await self.api.get(asking, path)
        return self.pages.page(
            "request.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            record=record,
            asked=self.queue.asked(record),
            subject=self.queue.line(record)["subject"],
            target=target,
            place=await self._place(asking, record["organisation_id"]),
            changes=[] if target is None else _changes(record, target),
            acts=asking.role is Role.BUSINESS,
            own=record["requester"] == asking.name,
            rejectable=self.queue.rejectable,
            apart=self.queue.apart,
            files=[one for one in FILES if record.get(one)],
            certificate_acts=DESK_ACTS,
            back=f"/console/requests/{record['id']}",
        )

    async def _place(self, asking: Principal, organisation: str | None) -> str | None:
        """Return the name of an organisation, or its id for who may not look at it.

        They may still enter requests there, and codes are in no other answer than this one.
        """
        if organisation is None:
            return None
        try:
            found = await self.api.get(asking, path_of("organisations", organisation))
        except Problem:
            return organisation
        return str(found["organisation"]["name"])


def _changes(record: Mapping[str, Any], target: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what an act on a certificate changes: the field's word, now, and after."""
    operation = record["operation"]
    states = {"revoke": "revoked", "freeze": "held", "unfreeze": "issued"}
    if operation in states:
        return [("state", target["state"], states[operation])]
    lines = [("key", "", "key_same" if operation == "renew" else "key_new")]
    if operation != "renew":
        lines.append(("state", target["state"], "revoked"))
    return lines
