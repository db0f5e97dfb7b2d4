"""The keys that sign tokens, and who may register applications by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import address_maker, as_csv, of_those
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking

_SECTION: Final = "signingkeys"
_HERE: Final = "/console/signingkeys"
_COLUMNS: Final = ("kid", "algorithm", "state", "signs_from", "signs_until", "gone_at")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "kid": ("密钥标识（kid）", "Key identifier (kid)"),
    "algorithm": ("算法", "Algorithm"),
    "signs_from": ("开始签名", "Signs from"),
    "signs_until": ("停止签名", "Signs until"),
    "gone_at": ("停止公布", "Published until"),
    "rotate": ("更换签名密钥", "Rotate a signing key"),
    "rotate_note": (
        "新密钥先公布、后签名，应用不会中断。",
        "A new key is published before it signs: applications notice nothing.",
    ),
    "at_once": (
        "立即（密钥可能已泄露：旧密钥签发的令牌全部作废）",
        "At once (others may have the key: everything that the old one signed ends)",
    ),
    "tokens": ("应用自助登记", "Applications that register by themselves"),
    "tokens_note": (
        "持初始访问令牌的一方可按 RFC 7591 自行登记应用。",
        "Whoever has an initial access token may register applications (RFC 7591).",
    ),
    "holder": ("发给", "Given to"),
    "uses": ("可登记的应用数", "How many applications"),
    "uses_left": ("剩余次数", "Uses left"),
    "days": ("有效天数", "Days"),
    "created_at": ("创建时间", "Made"),
    "expires_at": ("到期", "Expires"),
    "create": ("创建令牌", "Make a token"),
    "token_new": ("初始访问令牌（只显示这一次）", "Initial access token (shown this once)"),
    "withdraw": ("收回", "Withdraw"),
    "ask_withdraw": (
        "不能再用它登记；已登记的应用保留。",
        "Nothing more can be registered with it; what was registered stays.",
    ),
}


def add_signingkeys(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the page."""

    @router.get("/signingkeys")
    async def listed(asking: Asking, request: Request) -> Response:
        if request.query_params.get("format") == "csv":
            items = await api.get(asking, path_of("signing-keys"))
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        return await _draw(asking, request)

    @router.post("/signingkeys/rotate")
    async def rotate(asking: Asking, form: Form) -> Response:
        body: dict[str, Any] = {
            **form.given("algorithm"),
            "at_once": form["at_once"] == "on",
        }
        await api.post(asking, path_of("signing-keys", "rotate"), body)
        return see_other(f"{_HERE}?done=1")

    @router.post("/signingkeys/tokens")
    async def create(asking: Asking, request: Request, form: Form) -> Response:
        body: dict[str, Any] = form.given("name")
        numbers = {name: form.number(name) for name in ("uses", "days")}
        body |= {name: number for name, number in numbers.items() if number is not None}
        made = await api.post(asking, path_of("registration-tokens"), body)
        return await _draw(asking, request, made["initial_access_token"])

    @router.post("/signingkeys/tokens/{token_id}/withdraw")
    async def withdraw(asking: Asking, token_id: str, _: Form) -> Response:
        await api.ask(asking, "DELETE", path_of("registration-tokens", token_id))
        return see_other(f"{_HERE}?done=1")

    async def _draw(asking: Asking, request: Request, secret: str | None = None) -> Response:
        acts = asking.role is Role.SYSTEM
        keys = await api.get(asking, path_of("signing-keys"))
        items, cursor = of_those(request, keys, "signs_from", "algorithm", "state", by="kid")
        return pages.page(
            "signingkeys.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            address=address_maker(request),
            algorithms=sorted({one["algorithm"] for one in keys}),
            tokens=await api.get(asking, path_of("registration-tokens")) if acts else [],
            secret=secret,
            acts=acts,
        )
