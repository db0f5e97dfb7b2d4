"""Certificate profiles: read, compare versions, propose a change."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import address_maker, as_csv, of_those
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking

_SECTION: Final = "profiles"
_PATH: Final = "/api/v1/profiles"
_COLUMNS: Final = ("name", "title", "key_algorithms", "validity_days", "needs_approval")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("说明", "Title"),
    "approval": ("需要审核", "Needs a review"),
    "make": ("需要制证", "Needs a make step"),
    "encryption": ("加密证书模板（双证书）", "Encryption profile (pairs)"),
    "key_algorithms": ("密钥算法", "Key algorithms"),
    "validity": ("有效天数（默认 / 最长）", "Days of validity (default / most)"),
    "window": ("可延期的天数（到期前 / 后）", "Renewal window in days (before / after)"),
    "required": ("必填主体项", "Required in the subject"),
    "optional": ("可选主体项", "Optional in the subject"),
    "alternative_names": ("主体备用名", "Subject alternative names"),
    "identity": ("身份扩展项", "Identity extensions"),
    "versions": ("历次变更", "Versions"),
    "number": ("版本", "Version"),
    "compare": ("与上一版本比较", "Against the version before"),
    "first_version": ("首次定义", "First version"),
    "no_versions": ("一直是随产品提供的定义。", "As it came with the product."),
    "propose": ("提出变更", "Propose a change"),
    "toml": ("模板全文（TOML）", "The profile (TOML)"),
    "propose_note": (
        "按多人审批设置，可能需要其他管理员同意后才生效。",
        "Others may have to agree before it is in force.",
    ),
    "proposal": ("审批单", "Proposal"),
}


def add_profiles(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add profiles."""

    @router.get("/profiles")
    async def listed(asking: Asking, request: Request) -> Response:
        every = await api.get(asking, _PATH)
        if request.query_params.get("format") == "csv":
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in every))
        items, cursor = of_those(request, every, "name", "title", by="name", sort="name")
        return pages.page(
            "profiles.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            address=address_maker(request),
            proposes=asking.role is Role.SYSTEM,
        )

    @router.post("/profiles")
    async def propose(asking: Asking, form: Form) -> Response:
        said = await api.post(asking, _PATH, {"profiles": [form["toml"]]})
        return see_other(f"/console/proposals/{said['proposal']}")

    @router.get("/profiles/{name}")
    async def show(asking: Asking, request: Request, name: str) -> Response:
        known = {one["name"]: one for one in await api.get(asking, _PATH)}
        versions = await api.get(asking, path_of("profiles", name, "versions"))
        return pages.page(
            "profile.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            name=name,
            found=known.get(name),
            versions=_compared(versions),
            proposes=asking.role is Role.SYSTEM,
        )


def _compared(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest first, each with the lines that differ from the one before."""
    before = ""
    found = []
    for version in versions:
        lines = difflib.unified_diff(before.splitlines(), version["text"].splitlines(), n=2)
        found.append({**version, "difference": list(lines)[2:] if before else []})
        before = version["text"]
    return found[::-1]
