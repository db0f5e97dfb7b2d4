"""HTTP for what this host was asked, by the minute."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from core.http import require_role
from core.identity import Principal, Role
from core.openapi import problems
from yinxin.traffic import Traffic

_Reader = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.BUSINESS, Role.AUDIT))]


class MinuteView(BaseModel):
    """One minute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    issued: int
    logins: int
    ocsp: int


def make_traffic_router(traffic: Traffic) -> APIRouter:
    """Serve /api/v1/traffic."""
    router = APIRouter(prefix="/api/v1", tags=["health"])

    @router.get(
        "/traffic",
        summary="Certificates, login attempts and OCSP answers of the last day by the minute",
        description="Of the host that answers, since its service started.",
        responses=problems(),
    )
    def minutes(_: _Reader) -> list[MinuteView]:
        return [
            MinuteView(at=one.at, issued=one.issued, logins=one.logins, ocsp=one.ocsp)
            for one in traffic.minutes()
        ]

    return router
