"""Applications that log people in through us: register, secret once, remove."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.store import IDTokenAlgorithm
from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form, Posted
from yinxin.console.lists import address_maker, all_items, as_csv, criteria, some_items
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking

_SECTION: Final = "clients"
_PATH: Final = "/api/v1/clients"
_HERE: Final = "/console/clients"
_METHODS: Final = ("client_secret_basic", "client_secret_post", "none")
_ADDRESSES: Final = ("backchannel_logout_uri", "frontchannel_logout_uri")
_LISTS: Final = ("cas_services", "cas_prefixes", "gate_origins", "contacts")
_ALGORITHMS: Final = tuple((str(one), str(one)) for one in IDTokenAlgorithm)
_SCOPES: Final = ("openid", "profile", "email")
_BY: Final = "client_id"
_COLUMNS: Final = ("client_id", "name", "auth_method", "redirect_uris", "scopes", "created_at")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "find": ("名称或应用标识", "Name or identifier"),
    "client_id": ("应用标识（client_id）", "Client identifier (client_id)"),
    "client_id_note": ("可不填，由系统生成。", "Left empty, one is made."),
    "redirect_uris": ("登录回调地址（每行一个）", "Redirect URIs (one a line)"),
    "post_logout_redirect_uris": (
        "退出后返回地址（每行一个）",
        "Post-logout redirect URIs (one a line)",
    ),
    "backchannel_logout_uri": (
        "退出通知地址（会话结束时由本系统调用）",
        "Back-channel logout URI (we call it when a session ends)",
    ),
    "frontchannel_logout_uri": (
        "前端退出通知地址（由浏览器加载）",
        "Front-channel logout URI (loaded by the browser)",
    ),
    "cas_services": ("CAS 服务地址（每行一个）", "Services of CAS (one a line)"),
    "cas_prefixes": (
        "CAS 服务地址前缀，其下任何地址都可进入，以 / 结尾（每行一个）",
        "Prefixes of CAS services: any address below; they end with / (one a line)",
    ),
    "gate_origins": (
        "经反向代理接入的来源，https://主机[:端口]（每行一个）",
        "Origins behind a proxy that asks us, https://host[:port] (one a line)",
    ),
    "contacts": (
        "应用管理员的联系方式（每行一个；被拒绝进入的人会看到）",
        "Whom people ask about the application (one a line; shown to who may not enter)",
    ),
    "more": (
        "单点退出、CAS 与反向代理接入、联系人",
        "Single logout, CAS, behind a proxy, contacts",
    ),
    "id_token_algorithm": ("ID Token 签名算法", "ID token algorithm"),
    "other_metadata": ("其他登记内容（由接口维护）", "What else is registered (by the API)"),
    "auth_method": ("应用认证方式", "Client authentication"),
    "method_none": ("公开客户端（无密钥）", "public client (no secret)"),
    "scopes": ("可请求的范围（scope）", "Scopes"),
    "created_at": ("登记时间", "Registered"),
    "register": ("登记应用", "Register an application"),
    "secret": ("应用密钥（只显示这一次）", "Client secret (shown this once)"),
    "remove": ("注销应用", "Remove the application"),
    "ask_remove": (
        "注销后，该应用的所有登录令牌立即失效，不能恢复。",
        "Every token of the application ends at once. This cannot be undone.",
    ),
    "connect": ("应用从这里发现其余参数", "The application finds everything else at"),
    "change": ("修改登记", "Change what is registered"),
    "rotate": ("更换密钥", "Rotate the secret"),
    "keep_old_hours": ("旧密钥继续有效的小时数", "Hours that the old secret goes on working"),
    "ask_rotate": (
        "新密钥只显示一次；到时旧密钥失效。",
        "The new secret is shown once; the old one ends after these hours.",
    ),
    "trial": ("测试登录", "Test a login"),
    "access": ("访问策略", "Who may enter"),
    "least_level": ("最低登录强度", "Least level of login"),
    "account": ("账号类型", "Kind of account"),
    "any_account": ("不限", "Any"),
    "least_real_name": ("最低实名等级", "Least real-name level"),
    "consent": ("首次进入时请用户同意", "Ask people to agree before it learns about them"),
    "rules": ("向哪些机构开放（不填则全部）", "Open to which organisations (none: to all)"),
    "rule_note": (
        "满足其中一行即可；要删除一行，把机构改为空。",
        "One of the lines is enough; to remove a line, choose no organisation.",
    ),
    "several": ("一次添加多个机构", "Add several organisations at once"),
    "several_note": (
        "按住 Ctrl（或 Shift）可选多个；与上面的各行一起保存。",
        "Hold Ctrl (or Shift) to choose more than one; they are saved with the lines above.",
    ),
    "organisation": ("机构（含下级）", "Organisation (and all below)"),
    "capacity": ("身份", "Capacity"),
    "any_capacity": ("不限", "Any"),
}


def add_clients(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add applications."""

    @router.get("/clients")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "text", "sort")
        if request.query_params.get("format") == "csv":
            items = await all_items(api, asking, _PATH, query, by=_BY)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await some_items(api, request, _PATH, query, by=_BY)
        return pages.page(
            "clients.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            given=query,
            address=address_maker(request),
            methods=[(one, one) for one in _METHODS],
            algorithms=_ALGORITHMS,
            addresses=_ADDRESSES,
            listed=_LISTS,
            scopes=_SCOPES,
            acts=asking.role is Role.SYSTEM,
        )

    @router.post("/clients")
    async def register(asking: Asking, request: Request, form: Form) -> Response:
        made = await api.post(asking, _PATH, _registration(form))
        return _draw(asking, request, made["client"], made["client_secret"])

    @router.get("/clients/{client_id}")
    async def show(asking: Asking, request: Request, client_id: str) -> Response:
        return _draw(asking, request, await api.get(asking, path_of("clients", client_id)))

    @router.post("/clients/{client_id}/change")
    async def change(asking: Asking, request: Request, client_id: str, form: Form) -> Response:
        path = path_of("clients", client_id)
        found = await api.get(asking, path)
        body = _registration(form)
        body["id_token_algorithm"] = form["id_token_algorithm"] or found["id_token_algorithm"]
        body["metadata"] = {
            name: value
            for name, value in found["metadata"].items()
            if name not in (*_ADDRESSES, *_LISTS)
        } | body["metadata"]
        body.pop("client_id", None)
        made = (await api.ask(asking, "PUT", path, body=body)).json
        if made["client_secret"] is None:
            return see_other(f"{_HERE}/{client_id}?done=1")
        return _draw(asking, request, made["client"], made["client_secret"])

    @router.post("/clients/{client_id}/secret")
    async def rotate(asking: Asking, request: Request, client_id: str, form: Form) -> Response:
        path = path_of("clients", client_id)
        hours = form.number("keep_old_hours")
        body = {} if hours is None else {"keep_old_hours": hours}
        made = await api.post(asking, f"{path}/secret", body)
        return _draw(asking, request, await api.get(asking, path), made["client_secret"])

    @router.post("/clients/{client_id}/remove")
    async def remove(asking: Asking, client_id: str, _: Form) -> Response:
        await api.ask(asking, "DELETE", path_of("clients", client_id))
        return see_other(f"{_HERE}?done=1")

    def _draw(
        asking: Asking, request: Request, found: Mapping[str, Any], secret: str | None = None
    ) -> Response:
        return pages.page(
            "client.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            status=HTTPStatus.OK if secret is None else HTTPStatus.CREATED,
            found=found,
            secret=secret,
            methods=[(one, one) for one in _METHODS],
            algorithms=_ALGORITHMS,
            addresses=_ADDRESSES,
            listed=_LISTS,
            other=_other(found["metadata"]),
            known_scopes=sorted({*_SCOPES, *found["scopes"]}),
            acts=asking.role is Role.SYSTEM,
            here_path=f"{_HERE}/{found['client_id']}",
        )


def _registration(form: Posted) -> dict[str, Any]:
    def lines(name: str) -> list[str]:
        return [line.strip() for line in form[name].splitlines() if line.strip()]

    return form.given("name", "client_id", "auth_method", "id_token_algorithm") | {
        "redirect_uris": lines("redirect_uris"),
        "post_logout_redirect_uris": lines("post_logout_redirect_uris"),
        "scopes": form.all("scopes"),
        "metadata": form.given(*_ADDRESSES) | {name: lines(name) for name in _LISTS if lines(name)},
    }


def _other(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return what differs from the default and has no field on the page."""
    plain = ClientMetadata().model_dump(mode="json")
    return {
        name: json.dumps(value, ensure_ascii=False)
        for name, value in metadata.items()
        if value != plain.get(name) and name not in (*_ADDRESSES, *_LISTS)
    }
