"""Many at once: a file, its dry run with every bad row, one decision, progress, the package."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.errors import Malformed
from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import (
    address_maker,
    all_items,
    as_csv,
    criteria,
    issuer_choices,
    some_items,
)
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.places import places_for
from yinxin.console.session import Asking

_SECTION: Final = "bulk"
_PATH: Final = "/api/v1/bulk"
HERE: Final = "/console/bulk"
"""Files go here, too: the one page that takes long bodies, from who is known."""
_WORKING: Final = frozenset({"checking", "issuing", "cancelling"})
_BEFORE: Final = frozenset({"checking", "checked", "pending", "rejected"})
"""Nothing is issued yet: what progresses is the dry run."""
_REFRESH_SECONDS: Final = 3
_DIGEST: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_ALGORITHMS: Final = ("sm2", "rsa-2048", "rsa-3072")
_LISTED: Final = ("id", "label", "profile", "issuer", "rows", "requester", "created_at", "state")
_BATCH_STATES: Final = (
    "checking",
    "checked",
    "pending",
    "issuing",
    "paused",
    "cancelling",
    "cancelled",
    "rejected",
    "done",
)
_COLUMNS: Final = ("row", "state", "subject", "reason", "request_id")
_STATES: Final = (
    "bad",
    "failed",
    "asking",
    "valid",
    "started",
    "awaiting-pickup",
    "issued",
    "cancelled",
    "new",
)

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "upload": ("上传文件", "Upload a file"),
    "upload_note": (
        "CSV 或 Excel 文件，先逐行检查，提交前不签发任何证书。",
        "A CSV or Excel file. Every row is checked first; nothing is issued before you submit.",
    ),
    "file": ("文件", "File"),
    "label": ("说明", "Label"),
    "profile": ("证书模板", "Profile"),
    "issuer": ("签发者", "Issuer"),
    "organisation": ("所属机构", "Organisation"),
    "key_algorithm": ("密钥（文件中没有证书请求时）", "Keys (where the file has no CSRs)"),
    "rows": ("行", "Rows"),
    "row": ("行号", "Row"),
    "progress": ("进度", "Progress"),
    "requester": ("上传人", "Uploaded by"),
    "created_at": ("上传时间", "Uploaded"),
    "decided_by": ("审核人", "Decided by"),
    "file_sha256": ("文件摘要（SHA-256）", "File (SHA-256)"),
    "submit": ("提交签发", "Submit"),
    "submit_note": (
        "结果包加密给下面证书的持有者，只有他能打开。",
        "The result is encrypted to the holder of this certificate, who alone can open it.",
    ),
    "recipient": ("接收者的加密证书（PEM）", "The recipient's encryption certificate (PEM)"),
    "bad_rows": (
        "有不合格的行，整批不能提交：请改正后重新上传。",
        "With a bad row nothing can be submitted: mend the file and upload it again.",
    ),
    "approve": ("审核通过", "Approve"),
    "reject": ("拒绝", "Reject"),
    "reject_reason": ("拒绝原因", "Why"),
    "pause": ("暂停", "Pause"),
    "resume": ("继续", "Resume"),
    "cancel_batch": ("取消批次", "Cancel"),
    "ask_cancel": ("已签发的证书保留，其余不再签发。", "What is issued stays; no more is issued."),
    "fetch": ("下载结果包", "Fetch the result"),
    "confirm_batch": ("确认已收到", "Confirm that it arrived"),
    "ask_confirm": (
        "确认后，此处保存的私钥被清除，结果包不能再次下载。",
        "The private keys kept here are erased, and the result cannot be fetched again.",
    ),
    "package": (
        "结果包的文件名，或其 SHA-256 摘要",
        "The file name of the result, or its SHA-256",
    ),
    "package_note": (
        "文件名末尾的 64 位字符是其摘要，以此确认收到的是最新的结果包。",
        "The 64 characters at its end are its hash: they say that the newest result arrived.",
    ),
    "unasked": ("不再等待认证机构", "Go on without the authority"),
    "ask_unasked": (
        "认证机构尚未检查的行按合格处理；签发时仍会逐行检查，不合格的行届时失败。",
        "Rows that the authority has not seen count as valid; those it refuses fail when issued.",
    ),
    "comment": ("说明", "Says"),
    "subject": ("主体", "Subject"),
    "request": ("申请", "Request"),
    "refreshes": (
        "页面会自动刷新，也可以离开后再回来。",
        "The page refreshes by itself; you may leave and come back.",
    ),
    "stop_refreshing": ("停止自动刷新", "Stop refreshing"),
    "refresh": ("自动刷新", "Refresh by itself"),
}


def add_bulk(
    router: APIRouter, pages: ConsolePages, api: ConsoleAPI, *, makes_keys: bool = True
) -> None:
    """Add batches. `makes_keys`: for rows without a CSR; else their subscribers bring them."""

    @router.get("/bulk")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "state", "sort")
        if request.query_params.get("format") == "csv":
            items = await all_items(api, asking, _PATH, query)
            return as_csv(_SECTION, _LISTED, ([one[c] for c in _LISTED] for one in items))
        items, cursor = await some_items(api, request, _PATH, query)
        acts = asking.role is Role.BUSINESS
        profiles = await api.get(asking, path_of("profiles"))
        places = await places_for(api, request)
        return pages.page(
            "bulk.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            states=_BATCH_STATES,
            given=query,
            address=address_maker(request),
            profiles=[(one["name"], f"{one['title']} ({one['name']})") for one in profiles],
            issuers=await issuer_choices(api, asking),
            places=places,
            algorithms=[(one, one) for one in _ALGORITHMS if makes_keys],
            acts=acts,
        )

    @router.post("/bulk")
    async def upload(asking: Asking, form: Form) -> Response:
        octets = form.files.get("file")
        if not octets:
            raise Malformed("choose a file")
        query = form.given("profile", "issuer", "label", "key_algorithm", "organisation")
        answer = await api.ask(asking, "POST", _PATH, query=query, octets=octets)
        return see_other(f"{HERE}/{answer.json['id']}")

    _add_one(router, pages, api)


def _add_one(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    @router.get("/bulk/{batch_id}")
    async def show(asking: Asking, request: Request, batch_id: str) -> Response:
        state = request.query_params.get("state") or None
        after = request.query_params.get("after") or "0"
        path = path_of("bulk", batch_id)
        batch = await api.get(asking, path)
        items = await api.get(asking, f"{path}/items", state=state, after=after, limit=101)
        working = batch["state"] in _WORKING
        refreshes = working and request.query_params.get("refresh") != "no"
        answer = pages.page(
            "batch.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            batch=batch,
            items=items[:100],
            after=str(items[99]["row"]) if len(items) > 100 else None,
            states=_STATES,
            working=working,
            refreshes=refreshes,
            settled=_settled(batch),
            acts=asking.role is Role.BUSINESS,
            own=batch["requester"] == asking.name,
            address=address_maker(request),
            here_path=f"{HERE}/{batch_id}",
        )
        if refreshes:
            # By the header: it keeps the address, and whoever wants stops it (WCAG 2.2.1).
            answer.headers["Refresh"] = str(_REFRESH_SECONDS)
        return answer

    @router.get("/bulk/{batch_id}/rows.csv")
    async def rows(asking: Asking, request: Request, batch_id: str) -> Response:
        state = request.query_params.get("state") or None
        lines: list[list[Any]] = []
        after = 0
        while True:
            items = await api.get(
                asking, path_of("bulk", batch_id, "items"), state=state, after=after, limit=1000
            )
            lines += [[item[column] for column in _COLUMNS] for item in items]
            if len(items) < 1000:
                return as_csv(f"batch-{batch_id[:8]}", _COLUMNS, lines)
            after = items[-1]["row"]

    @router.post("/bulk/{batch_id}/package")
    async def package(asking: Asking, batch_id: str, _: Form) -> Response:
        answer = await api.ask(asking, "POST", path_of("bulk", batch_id, "package"))
        digest = hashlib.sha256(answer.body).hexdigest()
        name = f"batch-{batch_id[:8]}-{digest}.p7m"
        return Response(
            answer.body,
            media_type="application/octet-stream",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )

    @router.post("/bulk/{batch_id}/{act}")
    async def act_on(asking: Asking, batch_id: str, act: str, form: Form) -> Response:
        bodies: dict[str, Any] = {
            "submit": {"recipient": form["recipient"]},
            "reject": {"reason": form["reason"]},
            "confirm": {"sha256": _digest_in(form["package"]) if act == "confirm" else ""},
        }
        await api.post(asking, path_of("bulk", batch_id, act), bodies.get(act))
        return see_other(f"{HERE}/{batch_id}")


def _digest_in(text: str) -> str:
    """Return the digest at the end of a package's file name. Raises `Malformed`."""
    found = _DIGEST.search(text.lower())
    if found is None:
        raise Malformed("package: neither the file name of a result nor a SHA-256 of 64 digits")
    return found[0]


def _settled(batch: Mapping[str, Any]) -> int:
    """Return how many rows are through with what the batch is doing now."""
    waiting = ("new", "asking") if batch["state"] in _BEFORE else ("new", "valid", "started")
    left: int = sum(batch["counts"].get(state, 0) for state in waiting)
    return int(batch["rows"]) - left
