"""Key management: the pools, and recoveries of escrowed keys under two officers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import address_maker, all_items, as_csv, criteria, some_items
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking

_SECTION: Final = "recoveries"
_POOLS: Final = "/api/v1/key-management/pools"
_PATH: Final = "/api/v1/key-management/recoveries"
_HERE: Final = "/console/recoveries"
_STATES: Final = ("requested", "approved", "delivered", "rejected", "expired")
_COLUMNS: Final = ("id", "kind", "state", "key", "requester", "created_at", "delivered_at")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "pools": ("密钥库", "Pools"),
    "pool_standby": ("备用", "Standby"),
    "pool_in_use": ("在用", "In use"),
    "pool_history": ("历史", "History"),
    "request_user": ("申请恢复（用户）", "Ask for a recovery (user)"),
    "request_judicial": ("申请恢复（司法）", "Ask for a recovery (judicial)"),
    "request_id": ("双证书申请号", "Number of the request for the pair"),
    "certificate": (
        "接收私钥的签名证书（签发者/序列号）",
        "Signing certificate that receives it (issuer/serial)",
    ),
    "spki_fingerprint": (
        "加密证书公钥的 SHA-256",
        "SHA-256 of the encryption certificate's public key",
    ),
    "recipient": ("接收者公钥", "Recipient's public key"),
    "requester": ("申请人", "Asked by"),
    "approvers": ("批准人", "Approved by"),
    "rejected_by": ("否决人", "Rejected by"),
    "created_at": ("申请时间", "Asked"),
    "expires_at": ("失效时间", "Expires"),
    "delivered_at": ("交付时间", "Delivered"),
    "key": ("密钥", "Key"),
    "approve": ("批准", "Approve"),
    "reject": ("否决", "Reject"),
    "deliver": ("领取密钥（仅一次）", "Fetch the key (once)"),
    "ask_deliver": (
        "密钥只交付一次，加密给申请时指定的公钥。",
        "The key is delivered once, enveloped to the public key that was named.",
    ),
    "ask_approve": (
        "批准后，够数的批准将使申请人可以领取此私钥。",
        "With enough approvals the requester can fetch this private key.",
    ),
    "enveloped_key": ("加密的私钥（DER，Base64）", "Enveloped key (DER, base64)"),
    "skf": ("SKF ENVELOPEDKEYBLOB（Base64）", "SKF ENVELOPEDKEYBLOB (base64)"),
    "ask": ("提交申请", "Ask"),
}


def add_recoveries(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add pools and recoveries."""

    @router.get("/recoveries")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "sort", "state")
        if request.query_params.get("format") == "csv":
            items = await all_items(api, asking, _PATH, query)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await some_items(api, request, _PATH, query)
        pools = None
        if asking.role in (Role.KEY, Role.AUDIT) and api.serves(_POOLS):
            pools = await api.get(asking, _POOLS)
        return pages.page(
            "recoveries.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            states=_STATES,
            given=query,
            address=address_maker(request),
            pools=pools,
        )

    @router.post("/recoveries/user")
    async def ask_user(asking: Asking, form: Form) -> Response:
        issuer, _, serial = form["certificate"].partition("/")
        body = {"issuer": issuer, "serial": serial, "reason": form["reason"]}
        made = await api.post(asking, path_of("requests", form["request_id"], "recovery"), body)
        return see_other(f"{_HERE}/{made['id']}?done=1")

    @router.post("/recoveries/judicial")
    async def ask_judicial(asking: Asking, form: Form) -> Response:
        made = await api.post(asking, _PATH, form.given("spki_fingerprint", "recipient", "reason"))
        return see_other(f"{_HERE}/{made['id']}?done=1")

    @router.get("/recoveries/{recovery_id}")
    async def show(asking: Asking, request: Request, recovery_id: str) -> Response:
        found = await api.get(asking, path_of("key-management", "recoveries", recovery_id))
        return _draw(request, found)

    @router.post("/recoveries/{recovery_id}/{act}")
    async def act_on(
        asking: Asking, request: Request, recovery_id: str, act: str, _: Form
    ) -> Response:
        path = path_of("key-management", "recoveries", recovery_id)
        said = await api.post(asking, f"{path}/{path_of(act).rpartition('/')[2]}")
        if act == "deliver":  # shown in this answer and never again
            return _draw(request, await api.get(asking, path), said)
        return see_other(f"{_HERE}/{recovery_id}?done=1")

    def _draw(
        request: Request, found: Mapping[str, Any], delivery: Mapping[str, Any] | None = None
    ) -> Response:
        return pages.page(
            "recovery.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=found,
            delivery=delivery,
            here_path=f"{_HERE}/{found['id']}",
        )
