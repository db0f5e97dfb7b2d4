"""The work queue: requests waiting for entry, review and make, and what each would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Principal, Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form, Posted
from yinxin.console.lists import a_page, address_maker, as_csv, criteria, every_item
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking, require

_SECTION: Final = "requests"
_PATH: Final = "/api/v1/requests"
TABS: Final = ("pending", "reviewed", "awaiting-pickup", "approved", "issued", "done", "rejected")
_COLUMNS: Final = ("id", "state", "operation", "profile", "subject", "requester", "created_at")

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
    "own": (
        "您录入的申请可能需要由他人审核。",
        "You entered this: another operator may have to review it.",
    ),
}


def add_requests(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the work queue."""
    _add_list(router, pages, api)
    _add_entry(router, pages, api)
    _add_steps(router, pages, api)


def _add_list(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    @router.get("/requests")
    async def queue(asking: Asking, request: Request) -> Response:
        query = criteria(request, "state", "sort")
        if request.query_params.get("format") == "csv":
            items = await every_item(api, asking, _PATH, query)
            rows = ([_line(item)[column] for column in _COLUMNS] for item in items)
            return as_csv("requests", _COLUMNS, rows)
        items, cursor = await a_page(api, request, _PATH, query)
        return pages.page(
            "requests.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            tabs=TABS,
            items=[_line(item) for item in items],
            cursor=cursor,
            address=address_maker(request),
            enters=asking.role is Role.BUSINESS,
        )


def _add_entry(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    @router.get("/requests/new")
    async def form(asking: Asking, request: Request) -> Response:
        require(asking, Role.BUSINESS)
        profiles = await api.get(asking, path_of("profiles"))
        chosen = request.query_params.get("profile")
        profile = next((one for one in profiles if one["name"] == chosen), None)
        issuers = await api.get(asking, path_of("issuers"))
        places = await api.get(asking, path_of("organisations"), limit=1000)
        return pages.page(
            "request_new.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            profiles=profiles,
            profile=profile,
            issuers=[
                (one["name"], f"{one['name']} ({one['signature_algorithm']})")
                for one in issuers
                if one["kind"] == "issuing" and not one["succeeds"]
            ],
            organisations=[(one["id"], one["name"]) for one in places["items"]],
        )

    @router.post("/requests/new")
    async def submit(asking: Asking, request: Request, form: Form) -> Response:
        record = await api.post(asking, _PATH, _submitted(form))
        return await _after(request, pages, api, asking, record)


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


def _add_steps(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    @router.get("/requests/{request_id}")
    async def show(asking: Asking, request: Request, request_id: str) -> Response:
        record = await api.get(asking, path_of("requests", request_id))
        return await _draw(request, pages, api, asking, record)

    @router.post("/requests/{request_id}/approve")
    async def approve(asking: Asking, request: Request, request_id: str, _: Form) -> Response:
        record = await api.post(asking, path_of("requests", request_id, "approve"))
        return await _after(request, pages, api, asking, record)

    @router.post("/requests/{request_id}/reject")
    async def reject(asking: Asking, request: Request, request_id: str, form: Form) -> Response:
        path = path_of("requests", request_id, "reject")
        record = await api.post(asking, path, {"reason": form["reason"]})
        return await _after(request, pages, api, asking, record)

    @router.post("/requests/{request_id}/make")
    async def make(asking: Asking, request: Request, request_id: str, form: Form) -> Response:
        path = path_of("requests", request_id, "make")
        record = await api.post(asking, path, form.given("csr"))
        return await _after(request, pages, api, asking, record)

    @router.post("/requests/{request_id}/resend")
    async def resend(asking: Asking, request: Request, request_id: str, _: Form) -> Response:
        record = await api.post(asking, path_of("requests", request_id, "pickup-resend"))
        return await _after(request, pages, api, asking, record)


async def _after(
    request: Request,
    pages: ConsolePages,
    api: ConsoleAPI,
    asking: Principal,
    record: dict[str, Any],
) -> Response:
    """Show what a step did. Codes are in this answer and nowhere else, so it is drawn at once."""
    if record.get("codes") is None:
        return see_other(f"/console/requests/{record['id']}?done=1")
    return await _draw(request, pages, api, asking, record)


async def _draw(
    request: Request,
    pages: ConsolePages,
    api: ConsoleAPI,
    asking: Principal,
    record: dict[str, Any],
) -> Response:
    target = None
    if record["target"] is not None:
        target = await api.get(
            asking, path_of("certificates", record["target"]["issuer"], record["target"]["serial"])
        )
    return pages.page(
        "request.html",
        request,
        section=_SECTION,
        texts=TEXTS,
        record=record,
        subject=subject_text(record["subject"]),
        target=target,
        changes=[] if target is None else _changes(record, target),
        acts=asking.role is Role.BUSINESS,
        own=record["requester"] == asking.name,
        back=f"/console/requests/{record['id']}",
    )


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


def _line(item: Mapping[str, Any]) -> dict[str, Any]:
    return {**item, "subject": subject_text(item["subject"])}


def subject_text(attributes: Sequence[Mapping[str, str]]) -> str:
    """Return a distinguished name as people read it: the common name first."""
    common = [one["value"] for one in attributes if one["type"] == "CN"]
    rest = [f"{one['type']}={one['value']}" for one in attributes if one["type"] != "CN"]
    return ", ".join([*common, *rest]) or "—"
