"""People who sign in: administrators and users, their roles, set-up links, lock-out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Principal, Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import address_maker, all_items, as_csv, criteria, some_items
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking

_SECTION: Final = "users"
_PATH: Final = "/api/v1/users"
_HERE: Final = "/console/users"
_COLUMNS: Final = ("id", "name", "display_name", "email", "role", "disabled", "created_at")
_BY: Final = "name"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "login_name": ("用户名", "User name"),
    "display_name": ("姓名", "Display name"),
    "email": ("电子邮箱", "Email"),
    "phone": ("电话", "Telephone"),
    "address": ("地址", "Address"),
    "change_contact": ("修改联系方式", "Change how they are reached"),
    "role": ("角色", "Role"),
    "created_at": ("创建时间", "Created"),
    "disabled": ("已停用", "Disabled"),
    "no_password": ("未设口令", "No password yet"),
    "new_user": ("新建用户", "Create a user"),
    "setup_link": ("生成设置链接", "Make a set-up link"),
    "setup_link_new": (
        "设置链接（只显示一次，72 小时内有效）",
        "Set-up link (shown once, for 72 hours)",
    ),
    "disable": ("停用", "Disable"),
    "ask_disable": (
        "立即退出其所有登录，并不能再登录。",
        "Every session ends at once, and none can begin.",
    ),
    "enable": ("启用", "Enable"),
    "change_role": ("更改角色", "Change the role"),
    "ask_role": (
        "原角色的登录和令牌立即失效。管理员的变更可能需要他人同意。",
        "Sessions and tokens of the old role end. Changes of administrators may need others.",
    ),
    "end_sessions": ("结束其全部登录", "End every session"),
    "ask_end_sessions": (
        "所有浏览器中的登录立即结束，已进入的应用会收到通知。",
        "Every browser is signed out at once, and the applications are told.",
    ),
    "identities": ("机构、实名与证书登录", "Organisations, real name, certificates"),
    "credential": ("申请重置凭证", "Propose new credentials"),
    "reset_factors": ("重置第二认证因素", "Reset second factors"),
    "ask_reset_factors": (
        "动态口令、恢复码和通行密钥将被清除，登录全部退出；本人须凭一次性链接重新登记。请先核验本人。",
        "Codes and passkeys go, sessions end; a one-time link enrols anew. Make sure who asks.",
    ),
    "reason": ("原因", "Reason"),
    "find": ("姓名或用户名", "Name"),
    "proposed": ("已提交审批。", "It is proposed; others have to agree."),
}


def add_users(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add users."""

    @router.get("/users")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "text", "sort")
        if request.query_params.get("format") == "csv":
            items = await all_items(api, asking, _PATH, query, by=_BY)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await some_items(api, request, _PATH, query, by=_BY)
        return pages.page(
            "users.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            text=query.get("text", ""),
            address=address_maker(request),
            roles=[str(role) for role in Role],
            acts=asking.role is Role.SYSTEM,
        )

    @router.post("/users")
    async def create(asking: Asking, form: Form) -> Response:
        body = form.given("name", "display_name", "email", "role")
        return _after(await api.post(asking, _PATH, body))

    @router.get("/users/{user_id}")
    async def show(asking: Asking, request: Request, user_id: str) -> Response:
        return await _draw(pages, api, asking, request, user_id)

    _add_links(router, pages, api)

    @router.post("/users/{user_id}/role")
    async def change_role(asking: Asking, user_id: str, form: Form) -> Response:
        body = {"role": form["role"] or None}
        return _after(await api.post(asking, path_of("users", user_id, "role"), body), user_id)

    @router.post("/users/{user_id}/contact")
    async def change_contact(asking: Asking, user_id: str, form: Form) -> Response:
        body = form.given("email", "phone", "address")
        await api.ask(asking, "PUT", path_of("users", user_id, "contact"), body=body)
        return see_other(f"{_HERE}/{user_id}?done=1")

    @router.post("/users/{user_id}/{act}")
    async def change(asking: Asking, user_id: str, act: str, _: Form) -> Response:
        return _after(await api.post(asking, path_of("users", user_id, act)), user_id)


def _add_links(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add what gives a one-time link."""

    @router.post("/users/{user_id}/setup-link")
    async def setup_link(asking: Asking, request: Request, user_id: str, _: Form) -> Response:
        made = await api.post(asking, path_of("users", user_id, "setup-link"))
        return await _draw(pages, api, asking, request, user_id, link=made["url"])

    @router.post("/users/{user_id}/reset-factors")
    async def reset_factors(asking: Asking, request: Request, user_id: str, form: Form) -> Response:
        body = {"reason": form["reason"]}
        made = await api.post(asking, path_of("users", user_id, "reset-factors"), body)
        return await _draw(pages, api, asking, request, user_id, link=made["url"])


async def _draw(
    pages: ConsolePages,
    api: ConsoleAPI,
    asking: Principal,
    request: Request,
    user_id: str,
    *,
    link: str | None = None,
) -> Response:
    found = await api.get(asking, path_of("users", user_id))
    return pages.page(
        "user.html",
        request,
        section=_SECTION,
        texts=TEXTS,
        found=found,
        link=link,
        roles=[str(role) for role in Role],
        acts=asking.role is Role.SYSTEM,
        here_path=f"{_HERE}/{user_id}",
    )


def _after(said: Mapping[str, Any] | None, user_id: str | None = None) -> Response:
    """Lead to the proposal, where others have to agree, or to the person."""
    if said is not None and "proposal" in said and said["state"] != "executed":
        return see_other(f"/console/proposals/{said['proposal']}")
    where = user_id or (said or {}).get("id", "")
    return see_other(f"{_HERE}/{where}?done=1")
