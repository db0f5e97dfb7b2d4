"""First steps: what a new installation still needs of each line, in order, with what is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from authn.levels import Level, level_of
from authn.oidc.clients import CONSOLE
from core.identity import Principal, Role
from yinxin.console.api import ConsoleAPI, Problem, path_of
from yinxin.console.pages import ConsolePages
from yinxin.console.queues import AUTHORITY, DESK, Queue
from yinxin.console.session import Asking, session_of

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "start": ("开始使用", "First steps"),
    "start_note": (
        "按顺序完成，约十分钟可签发第一张证书、接入第一个应用。",
        "In this order, the first certificate and the first application take about ten minutes.",
    ),
    "step_done": ("已完成", "Done"),
    "step_open": ("待完成", "To do"),
    "go": ("去完成", "Go"),
    "all_done": ("全部完成。", "All of it is done."),
    "first_password": ("设置口令", "Choose a password"),
    "first_password_note": ("通过一次性链接完成。", "Done with the one-time link."),
    "first_factor": ("登记第二种登录方式", "Set up a second factor"),
    "first_factor_note": (
        "动态口令、通行密钥或证书，登记后用它登录一次。",
        "A one-time password, a passkey or a certificate; then sign in with it once.",
    ),
    "first_organisation": ("建立机构树", "Begin the tree of organisations"),
    "first_organisation_note": (
        "给根机构改名，再增设第一个下级机构。",
        "Rename the root, then add the first organisation below it.",
    ),
    "first_branch": ("收到本分支的机构树", "The branch of the tree has arrived"),
    "first_branch_note": (
        "首次与认证机构连通后自动收到，操作员同时获得授权；之前不能录入。",
        "It comes with the first exchange, and rights with it; nothing can be entered before.",
    ),
    "first_profile": ("查看证书模板", "Look at the profiles"),
    "first_profile_note": (
        "随产品提供的模板可直接使用，系统管理员可提出变更。",
        "Those of the product can be used as they are; system administrators propose changes.",
    ),
    "first_request": ("录入第一份证书申请", "Enter the first request"),
    "first_request_note": (
        "粘贴设备产生的证书请求，或留空由订户凭两码领取。",
        "Paste the CSR of a device, or leave it out for a pick-up by two codes.",
    ),
    "first_certificate": ("签发第一张证书", "Issue the first certificate"),
    "first_certificate_note": (
        "在工作队列中审核通过；可设置必须由他人审核。",
        "Approve it in the work queue; another person's review can be made necessary.",
    ),
    "first_colleague": ("增加第二名系统管理员", "Add a second system administrator"),
    "first_colleague_note": (
        "重要操作由多人审批，需要至少两人。",
        "Grave acts under the control of several people need at least two.",
    ),
    "first_application": ("接入第一个应用", "Register the first application"),
    "first_application_note": (
        "登记后把 client_id、密钥和发现地址交给应用方。",
        "Then give the application its client_id, its secret and the address of discovery.",
    ),
    "first_health": ("健康检查全部正常", "Every health check is well"),
    "first_health_note": (
        "概览页列出还缺什么、如何处理。",
        "The overview says what is missing and what to do.",
    ),
    "first_verification": ("验证审计链", "Verify the audit chain"),
    "first_verification_note": (
        "确认完整，并请系统管理员设置异地导出。",
        "See that it is whole, and have its export off the box set up.",
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: where it is taken, and whether it is."""

    name: str
    href: str
    done: bool


def add_start(
    router: APIRouter, pages: ConsolePages, api: ConsoleAPI, queue: Queue = AUTHORITY
) -> None:
    """Add the first steps."""
    of_role = _STEPS_APART if queue.apart else _STEPS

    @router.get("/start")
    async def start(asking: Asking, request: Request) -> Response:
        level = level_of(session_of(request).acr) or Level.PASSWORD
        steps = [
            Step("first_password", "/account/security", done=True),
            Step("first_factor", "/account/security", done=level > Level.PASSWORD),
        ]
        more = of_role.get(asking.role) if asking.role is not None else None
        if more is not None:
            steps += await more(api, asking)
        return pages.page("start.html", request, section="dashboard", texts=TEXTS, steps=steps)


async def _of_business(api: ConsoleAPI, asking: Principal) -> list[Step]:
    organisations = await api.get(asking, path_of("organisations"), limit=2)
    requests = await api.get(asking, path_of("requests"), limit=1)
    issued = await api.get(asking, path_of("requests"), state="issued", limit=1)
    return [
        Step("first_organisation", "/console/organisations", len(organisations["items"]) > 1),
        Step("first_profile", "/console/profiles", bool(requests["items"])),
        Step("first_request", "/console/requests/new", bool(requests["items"])),
        Step("first_certificate", "/console/requests?state=pending", bool(issued["items"])),
    ]


async def _of_desk(api: ConsoleAPI, asking: Principal) -> list[Step]:
    try:
        entered = await api.get(asking, path_of("requests"), limit=1)
        done = await api.get(asking, path_of("requests"), state=DESK.gave, limit=1)
    except Problem as problem:
        if problem.status is not HTTPStatus.FORBIDDEN:
            raise
        return [Step("first_branch", "/console/start", done=False)]
    return [
        Step("first_branch", "/console/organisations", done=True),
        Step("first_request", "/console/requests/new", bool(entered["items"])),
        Step("first_certificate", "/console/requests?state=pending", bool(done["items"])),
    ]


async def _of_system_apart(api: ConsoleAPI, asking: Principal) -> list[Step]:
    return [one for one in await _of_system(api, asking) if one.name != "first_application"]


async def _of_system(api: ConsoleAPI, asking: Principal) -> list[Step]:
    users: list[dict[str, Any]] = await api.get(asking, path_of("users"))
    clients: list[dict[str, Any]] = await api.get(asking, path_of("clients"))
    health = await api.get(asking, path_of("health-checks"))
    colleagues = sum(one["role"] == Role.SYSTEM and not one["disabled"] for one in users)
    applications = [one for one in clients if one["client_id"] != CONSOLE]
    return [
        Step("first_application", "/console/clients", bool(applications)),
        Step("first_colleague", "/console/users", colleagues > 1),
        Step("first_health", "/console", health["level"] == "ok"),
    ]


async def _of_audit(api: ConsoleAPI, asking: Principal) -> list[Step]:
    verdict = await api.get(asking, path_of("audit", "verification"))
    return [Step("first_verification", "/console/audit/verification", verdict["whole"])]


_Steps = Mapping[Role, Callable[[ConsoleAPI, Principal], Awaitable[list[Step]]]]
_STEPS: Final[_Steps] = {
    Role.BUSINESS: _of_business,
    Role.SYSTEM: _of_system,
    Role.AUDIT: _of_audit,
}
_STEPS_APART: Final[_Steps] = {
    Role.BUSINESS: _of_desk,
    Role.SYSTEM: _of_system_apart,
    Role.AUDIT: _of_audit,
}
