"""Acts under the control of several people: what is proposed, who agreed, agree or refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import address_maker, all_items, as_csv, criteria, some_items
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking

_SECTION: Final = "proposals"
_PATH: Final = "/api/v1/proposals"
_HERE: Final = "/console/proposals"
_STATES: Final = ("proposed", "approved", "executed", "rejected", "expired", "failed")
_COLUMNS: Final = ("id", "act", "state", "summary", "requester", "created_at", "decided_at")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "act": ("事项", "Act"),
    "summary": ("内容", "What"),
    "requester": ("提出人", "Proposed by"),
    "created_at": ("提出时间", "Proposed"),
    "expires_at": ("失效时间", "Expires"),
    "decided_at": ("决定时间", "Decided"),
    "approvals": ("同意", "Approvals"),
    "needed": ("需要人数", "Needed"),
    "outcome": ("结果", "Outcome"),
    "parameters": ("全部参数", "Every parameter"),
    "approve": ("同意", "Approve"),
    "ask_approve": (
        "最后一个同意会立即执行此事项。",
        "The last approval that is needed does the act at once.",
    ),
    "reject": ("否决", "Reject"),
    "take_back": ("撤回", "Take back"),
    "own": ("提出人不能同意自己的提案。", "Who proposed it does not approve it."),
}


def add_proposals(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add proposals."""

    @router.get("/proposals")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "state", "sort")
        if request.query_params.get("format") == "csv":
            items = await all_items(api, asking, _PATH, query)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await some_items(api, request, _PATH, query)
        return pages.page(
            "proposals.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            states=_STATES,
            given=query,
            address=address_maker(request),
        )

    @router.get("/proposals/{proposal_id}")
    async def show(asking: Asking, request: Request, proposal_id: str) -> Response:
        found = await api.get(asking, path_of("proposals", proposal_id))
        shown = json.dumps(found["parameters"], ensure_ascii=False, indent=2)
        return pages.page(
            "proposal.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=found,
            parameters=shown.replace("\\n", "\n"),
            acts=asking.role is not Role.AUDIT and found["state"] in ("proposed", "approved"),
            own=found["requester"] == asking.name,
            here_path=f"{_HERE}/{proposal_id}",
        )

    @router.post("/proposals/{proposal_id}/approve")
    async def approve(asking: Asking, proposal_id: str, _: Form) -> Response:
        await api.post(asking, path_of("proposals", proposal_id, "approve"))
        return see_other(f"{_HERE}/{proposal_id}?done=1")

    @router.post("/proposals/{proposal_id}/reject")
    async def reject(asking: Asking, proposal_id: str, form: Form) -> Response:
        path = path_of("proposals", proposal_id, "reject")
        await api.post(asking, path, {"reason": form["reason"]})
        return see_other(f"{_HERE}/{proposal_id}?done=1")
