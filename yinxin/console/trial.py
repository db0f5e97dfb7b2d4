"""A login on trial: whether a person could enter an application, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.lists import criteria
from yinxin.console.pages import ConsolePages
from yinxin.console.places import places_for
from yinxin.console.session import Asking

_SECTION: Final = "clients"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "trial": ("测试登录", "Test a login"),
    "trial_note": (
        "按该应用现在的访问策略判断某人能否登录；应用不会收到任何消息。",
        "Judged by the policy of the application as it is now; the application hears nothing.",
    ),
    "user_name": ("用户名", "User name"),
    "try": ("测试", "Test"),
    "acts_as": ("以何身份", "For whom"),
    "verdict": ("结果", "Result"),
    "themselves": ("本人", "Themselves"),
    "may_enter": ("可以进入", "may enter"),
    "is_disabled": (
        "该用户已停用，不能登录任何应用。",
        "This user is disabled and can log in nowhere.",
    ),
    "least_level": ("应用要求的登录强度", "Level the application asks for"),
    "reachable": ("此人可达到的登录强度", "Level they can come to"),
    "consent_first": ("首次进入时会请其同意。", "They are asked to agree the first time."),
    "refusal_level": ("登录强度不够", "no login strong enough"),
    "refusal_natural": ("仅限自然人", "for natural persons only"),
    "refusal_legal": ("仅限法人", "for legal persons only"),
    "refusal_real-name": ("实名等级不够", "name not verified well enough"),
    "refusal_organisation": (
        "未向其机构或身份开放",
        "not open to their organisation, or capacity there",
    ),
    "refusal_account": ("不能再代表该机构", "may not act for the organisation any more"),
}


def add_trial(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the page of an application where a login is tried."""

    @router.get("/clients/{client_id}/trial")
    async def trial(asking: Asking, request: Request, client_id: str) -> Response:
        client = await api.get(asking, path_of("clients", client_id))
        given = criteria(request, "user")
        found: dict[str, Any] | None = None
        if given:
            found = await api.get(asking, path_of("clients", client_id, "trial"), **given)
        tied = [one["affiliation"] for one in found["verdicts"]] if found else []
        places = await places_for(api, request, [one["organisation"] for one in tied if one])
        return pages.page(
            "trial.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            client=client,
            given=given,
            found=found,
            places=places,
        )
