"""Times in the viewer's zone, and the zone beside them."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from starlette.requests import Request

COOKIE: Final = "__Host-yinxin-zone"
ZONES: Final = ("Asia/Shanghai", "Asia/Urumqi", "UTC")
"""What the page offers. Civil time in the whole country is UTC+8; Urumqi is two hours behind."""


def zone_of(request: Request) -> ZoneInfo:
    """Return the zone that this browser chose; at first the first of `ZONES`."""
    chosen = request.cookies.get(COOKIE, "")
    return ZoneInfo(chosen if chosen in ZONES and chosen in available_timezones() else ZONES[0])


def local_time(value: datetime | str | None, zone: ZoneInfo) -> str:
    """Return ``2026-11-28 09:30:00 +08:00``; a dash for no time."""
    if value is None:
        return "—"
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    text = at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %z")
    return f"{text[:-2]}:{text[-2:]}"
