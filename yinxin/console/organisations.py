"""The tree of organisations: walk it, change it, see what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import a_page, address_maker, as_csv, criteria, every_item
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.places import places_for
from yinxin.console.session import Asking

_SECTION: Final = "organisations"
_PATH: Final = "/api/v1/organisations"
_HERE: Final = "/console/organisations"
LEVELS: Final = ("province", "city", "county", "department", "unit")
_COLUMNS: Final = ("id", "parent", "level", "name", "code", "created_at", "closed_at")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "level": ("层级", "Level"),
    "code": ("代码（行政区划或统一社会信用代码）", "Code (administrative division or credit code)"),
    "below": ("下级机构", "Below it"),
    "add": ("增设下级机构", "Add an organisation below"),
    "rename": ("更名", "Rename"),
    "new_name": ("新名称", "New name"),
    "move": ("划转", "Move"),
    "new_parent": ("划入机构", "Under which organisation"),
    "close": ("撤销机构", "Close"),
    "ask_close": (
        "撤销后不再签发新证书；已签发的证书不受影响。",
        "Nothing new is issued under it; what was issued stays.",
    ),
    "ask_move": (
        "整个分支一起划转，历史保留。",
        "The whole branch moves with it; its history stays.",
    ),
    "history": ("沿革", "History"),
    "before": ("变更前", "Before"),
    "after": ("变更后", "After"),
    "closed": ("已撤销", "Closed"),
    "find": ("名称或代码", "Name or code"),
    "certificates_of": ("该机构的证书", "Certificates of this organisation"),
    "subjects_of": ("该机构的人员与设备", "People and devices of this organisation"),
    "choose": ("请选择", "Choose"),
}


def add_organisations(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the tree, and what changes it."""
    add_branch(router, pages, api, changes=True)
    _add_changes(router, api)


def add_branch(
    router: APIRouter, pages: ConsolePages, api: ConsoleAPI, *, changes: bool = False
) -> None:
    """Add the tree as it is. `changes`: show the forms that change it, and what hangs on it."""

    @router.get("/organisations")
    async def tree(asking: Asking, request: Request) -> Response:
        query = criteria(request, "text", "under", "sort")
        if request.query_params.get("format") == "csv":
            items = await every_item(api, asking, _PATH, query)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await a_page(api, request, _PATH, query)
        return pages.page(
            "organisations.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            given=query,
            address=address_maker(request),
        )

    @router.get("/organisations/{organisation_id}")
    async def show(asking: Asking, request: Request, organisation_id: str) -> Response:
        found = await api.get(asking, path_of("organisations", organisation_id))
        cursor = criteria(request, "cursor")
        below = await api.get(asking, _PATH, parent=organisation_id, **cursor, limit=100)
        places = await places_for(api, request)
        return pages.page(
            "organisation.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=found["organisation"],
            path=found["path"],
            history=found["history"],
            below=below["items"],
            cursor=below["next_cursor"],
            address=address_maker(request),
            levels=LEVELS[LEVELS.index(found["organisation"]["level"]) :],
            places=places,
            acts=changes and asking.role is Role.BUSINESS,
            linked=changes,
            here_path=f"{_HERE}/{organisation_id}",
        )


def _add_changes(router: APIRouter, api: ConsoleAPI) -> None:
    @router.post("/organisations/{organisation_id}/add")
    async def add(asking: Asking, organisation_id: str, form: Form) -> Response:
        body = form.given("level", "name", "code") | {"parent": organisation_id}
        made = await api.post(asking, _PATH, body)
        return see_other(f"{_HERE}/{made['id']}?done=1")

    @router.post("/organisations/{organisation_id}/{act}")
    async def change(asking: Asking, organisation_id: str, act: str, form: Form) -> Response:
        bodies: dict[str, Any] = {
            "rename": {"name": form["name"]},
            "move": {"parent": form["parent"]},
            "close": None,
        }
        await api.post(asking, path_of("organisations", organisation_id, act), bodies.get(act))
        return see_other(f"{_HERE}/{organisation_id}?done=1")
