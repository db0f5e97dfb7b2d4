"""Many revoked at once: a selection, what it would hit, and the decision; keys blocked for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.certificates import REASONS
from yinxin.console.forms import Form, Posted
from yinxin.console.lists import address_maker, all_items, as_csv, criteria, some_items
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.places import places_for
from yinxin.console.session import Asking

_SECTION: Final = "massrevocations"
_PATH: Final = "/api/v1/mass-revocations"
_HERE: Final = "/console/massrevocations"
_CHOOSING: Final = ("issuer", "profile", "organisation", "spki_fingerprint")
_BLOCKED: Final = 50
_COLUMNS: Final = ("id", "state", "reason", "actor", "created_at", "expected", "revoked", "refused")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "choose": ("选择证书", "Choose certificates"),
    "choose_note": (
        "所有给出的条件都须满足；先查看会影响哪些证书。",
        "Every criterion that is given has to be met. What it hits is shown first.",
    ),
    "issuer": ("签发者", "Issuer"),
    "profile": ("证书模板", "Profile"),
    "organisation": ("机构（含下级）", "Organisation (and all below)"),
    "spki_fingerprint": (
        "公钥的 SHA-256（共用此公钥的全部证书，并封禁此公钥）",
        "SHA-256 of a public key (all its certificates, and the key is blocked)",
    ),
    "serials": ("序列号（每行一个，须选签发者）", "Serial numbers (one a line, with an issuer)"),
    "preview": ("查看影响", "See what it hits"),
    "total": ("将被吊销", "Would be revoked"),
    "first": ("其中的前几张", "The first of them"),
    "certificates": ("证书", "Certificates"),
    "subject": ("主体", "Subject"),
    "serial": ("序列号", "Serial number"),
    "revoke": ("提交批量吊销", "Revoke them"),
    "ask_revoke": (
        "吊销后不能恢复。按多人审批设置，可能需要其他管理员同意。",
        "This cannot be undone. Others may have to agree first.",
    ),
    "expected": ("预计", "Expected"),
    "revoked": ("已吊销", "Revoked"),
    "refused": ("未能吊销", "Refused"),
    "created_at": ("开始时间", "Began"),
    "blocked": ("已封禁的公钥", "Blocked keys"),
    "block": ("封禁公钥", "Block a key"),
    "block_note": (
        "被封禁的公钥永远不再签发证书。",
        "No certificate is ever issued for it again.",
    ),
    "blocked_at": ("封禁时间", "Blocked"),
}


def add_massrevocations(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add mass revocations and blocked keys."""

    @router.get("/massrevocations")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "sort", "state")
        if request.query_params.get("format") == "csv":
            items = await all_items(api, asking, _PATH, query)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await some_items(api, request, _PATH, query)
        after = request.query_params.get("after") or "0"
        blocked = await api.get(asking, path_of("blocked-keys"), after=after, limit=_BLOCKED + 1)
        places = await places_for(api, request)
        issuers = await api.get(asking, path_of("issuers"))
        profiles = await api.get(asking, path_of("profiles"))
        return pages.page(
            "massrevocations.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            states=("running", "done"),
            given=query,
            address=address_maker(request),
            blocked=blocked[:_BLOCKED],
            after=str(blocked[_BLOCKED - 1]["number"]) if len(blocked) > _BLOCKED else None,
            places=places,
            issuers=[(one["name"], one["name"]) for one in issuers],
            profiles=[(one["name"], one["title"]) for one in profiles],
            acts=asking.role is Role.BUSINESS,
        )

    @router.post("/massrevocations/preview")
    async def preview(asking: Asking, request: Request, form: Form) -> Response:
        selection = _selection(form)
        return pages.page(
            "massrevocation.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            selection=form,
            choosing=_CHOOSING,
            preview=await api.post(asking, f"{_PATH}/preview", selection),
            reasons=REASONS,
        )

    @router.post("/massrevocations")
    async def revoke(asking: Asking, form: Form) -> Response:
        body = _selection(form) | {"reason": form["reason"]}
        said = await api.post(asking, _PATH, body)
        return see_other(f"/console/proposals/{said['proposal']}")

    @router.post("/massrevocations/blocked-keys")
    async def block(asking: Asking, form: Form) -> Response:
        await api.post(asking, path_of("blocked-keys"), form.given("spki_fingerprint", "reason"))
        return see_other(f"{_HERE}?done=1")


def _selection(form: Posted) -> dict[str, Any]:
    serials = form["serials"].lower().replace(":", "").split()
    return form.given(*_CHOOSING) | ({"serials": serials} if serials else {})
