"""The overview: what waits, what ends soon, what is asked of us, and whether all is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from core.identity import Principal, Role
from yinxin.console.api import ConsoleAPI, Problem, path_of
from yinxin.console.chart import HEIGHT, WIDTH, Chart, bars
from yinxin.console.pages import ConsolePages
from yinxin.console.queues import AUTHORITY, Queue
from yinxin.console.session import Asking
from yinxin.console.words_health import findings_in
from yinxin.portal.zone import zone_of

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "start": ("开始使用", "First steps"),
    "hello": ("您好", "Hello"),
    "waiting": ("待处理", "Waiting"),
    "no_rights": (
        "您还没有任何机构的权限：请由业务管理员授权。独立的受理点与认证机构首次连通后自动授权。",
        "No right in any organisation yet: somebody gives one, or the first exchange does.",
    ),
    "certificates": ("证书", "Certificates"),
    "valid": ("有效", "Valid"),
    "held": ("已冻结", "Held"),
    "revoked": ("已吊销", "Revoked"),
    "expired": ("已过期", "Expired"),
    "ends_7": ("7 天内到期", "End within 7 days"),
    "ends_30": ("30 天内到期", "End within 30 days"),
    "ends_90": ("90 天内到期", "End within 90 days"),
    "counted_at": ("统计时间", "Counted"),
    "traffic": ("近 24 小时（本机）", "The last 24 hours (this host)"),
    "traffic_ocsp": ("OCSP 应答", "OCSP answers"),
    "traffic_logins": ("登录尝试", "Login attempts"),
    "traffic_issued": ("签发证书", "Certificates issued"),
    "most": ("每小时最多", "most in an hour"),
    "total": ("合计", "in all"),
    "health": ("健康检查", "Health checks"),
    "remedy": ("处理办法", "What to do"),
    "check": ("检查项", "Check"),
    "says": ("结果", "Result"),
}
_COUNTED: Final = 100
_DRAWN: Final = ("ocsp", "logins", "issued")


def add_dashboard(
    router: APIRouter, pages: ConsolePages, api: ConsoleAPI, queue: Queue = AUTHORITY
) -> None:
    """Add the first page."""

    @router.get("")
    async def overview(asking: Asking, request: Request) -> Response:
        counts = traffic = health = None
        of_certificates = asking.role in (Role.BUSINESS, Role.AUDIT)
        if of_certificates and api.serves("/api/v1/statistics/overview"):
            counts = await api.get(asking, path_of("statistics", "overview"))
        if asking.role in (Role.SYSTEM, Role.BUSINESS, Role.AUDIT) and api.serves(
            "/api/v1/traffic"
        ):
            minutes = await api.get(asking, path_of("traffic"))
            zone, now = zone_of(request), pages.clock.now()
            traffic = {name: _hourly(minutes, name, zone, now) for name in _DRAWN}
        if asking.role in (Role.SYSTEM, Role.AUDIT) and api.serves("/api/v1/health-checks"):
            health = await api.get(asking, path_of("health-checks"))
        return pages.page(
            "dashboard.html",
            request,
            section="dashboard",
            texts=TEXTS,
            waiting=await _waiting(api, asking, queue) if of_certificates else [],
            counts=counts,
            traffic=traffic,
            size=(WIDTH, HEIGHT),
            health=health,
            findings=findings_in,
        )


async def _waiting(
    api: ConsoleAPI, asking: Principal, queue: Queue
) -> list[tuple[str, str]] | None:
    """Return how many requests wait for what; more than a hundred are not counted.

    None: who is asking has no right to see any yet, as before the first exchange of a desk.
    """
    if not api.serves("/api/v1/requests"):
        return []
    found = []
    for state in queue.waiting:
        try:
            page = await api.get(asking, path_of("requests"), state=state, limit=_COUNTED)
        except Problem as problem:
            if problem.status is not HTTPStatus.FORBIDDEN:
                raise
            return None
        found.append((state, f"{len(page['items'])}{'+' if page['next_cursor'] else ''}"))
    return found


def _hourly(
    minutes: Sequence[Mapping[str, Any]], name: str, zone: ZoneInfo, now: datetime
) -> Chart:
    """Draw the last 24 hours, also those before this host was started."""
    began = now.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    hours = {began - timedelta(hours=ago): 0 for ago in range(23, -1, -1)}
    for minute in minutes:
        at = datetime.fromisoformat(minute["at"]).astimezone(zone)
        hour = at.replace(minute=0, second=0, microsecond=0)
        if hour in hours:
            hours[hour] += minute[name]
    return bars([(f"{hour:%H}:00", count) for hour, count in hours.items()])
