"""Rights of operators over branches, and the rules that say which steps an operation needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from ca.operations import Operation
from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import a_page, address_maker, as_csv, criteria, every_item
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.places import places_for
from yinxin.console.session import Asking

_SECTION: Final = "rights"
_PATH: Final = "/api/v1/rights"
_HERE: Final = "/console/rights?done=1"
_STEPS: Final = ("entry", "review", "make")
_COLUMNS: Final = (
    "id",
    "operator",
    "organisation",
    "operations",
    "profiles",
    "steps",
    "granted_at",
)

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "operator": ("操作员", "Operator"),
    "organisation": ("机构（含下级）", "Organisation (and all below)"),
    "operations": ("业务", "Operations"),
    "profiles": ("证书模板", "Profiles"),
    "steps": ("环节", "Steps"),
    "granted_by": ("授权人", "Given by"),
    "grant": ("授权", "Give a right"),
    "revoke": ("收回", "Take away"),
    "ask_revoke": ("收回后立即生效。", "It takes effect at once."),
    "all_note": ("不选表示全部。", "None ticked means all of them."),
    "rules": ("审核规则", "Review rules"),
    "set_rule": ("设置规则", "Set a rule"),
    "operation": ("业务", "Operation"),
    "profile": ("证书模板", "Profile"),
    "review": ("需要审核", "Needs a review"),
    "make": ("需要制证", "Needs a make step"),
    "set_by": ("设置人", "Set by"),
    "ask_remove": (
        "删除后，此处按上级机构或模板的规则办理。",
        "From then on the rule of the organisation above or of the profile holds here.",
    ),
    "remove": ("删除", "Remove"),
    "choose": ("请选择", "Choose"),
}


def add_rights(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add rights, with the review rules where there are some."""

    @router.get("/rights")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "operator", "sort")
        if request.query_params.get("format") == "csv":
            items = await every_item(api, asking, _PATH, query)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await a_page(api, request, _PATH, query)
        profiles = await api.get(asking, path_of("profiles"))
        rules = None  # of a desk apart: they are the authority's
        if api.serves("/api/v1/review-rules"):
            rules = await api.get(asking, path_of("review-rules"))
        named = [one["organisation"] for one in (*items, *(rules or ()))]
        places = await places_for(api, request, named)
        return pages.page(
            "rights.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            given=query,
            rules=rules,
            places=places,
            profiles=[(one["name"], one["title"]) for one in profiles],
            operations=[str(one) for one in Operation],
            steps=_STEPS,
            address=address_maker(request),
            acts=asking.role is Role.BUSINESS,
        )

    @router.post("/rights")
    async def grant(asking: Asking, form: Form) -> Response:
        body: dict[str, Any] = form.given("operator", "organisation")
        body |= {name: form.all(name) for name in ("profiles", "operations") if form.all(name)}
        await api.post(asking, _PATH, body | {"steps": form.all("steps")})
        return see_other(_HERE)

    @router.post("/rights/{right_id}/revoke")
    async def revoke(asking: Asking, right_id: str, _: Form) -> Response:
        await api.ask(asking, "DELETE", path_of("rights", right_id))
        return see_other(_HERE)


def add_rules(router: APIRouter, _: ConsolePages, api: ConsoleAPI) -> None:
    """Add review rules, which `add_rights` shows."""

    @router.post("/rights/rules")
    async def set_rule(asking: Asking, form: Form) -> Response:
        body: dict[str, Any] = form.given("operation", "organisation", "profile")
        flags = {name: form[name] == "on" for name in ("review", "make")}
        await api.post(asking, path_of("review-rules"), body | flags)
        return see_other(_HERE)

    @router.post("/rights/rules/{rule_id}/remove")
    async def remove_rule(asking: Asking, rule_id: str, _: Form) -> Response:
        await api.ask(asking, "DELETE", path_of("review-rules", rule_id))
        return see_other(_HERE)
