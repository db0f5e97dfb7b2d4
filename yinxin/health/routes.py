"""The checks over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from core.http import require_role
from core.identity import Principal, Role
from yinxin.health.findings import Finding, worst_of

_Reader = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]


class FindingView(BaseModel):
    """The result of one check."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: Annotated[str, Field(examples=["ca-expiry"])]
    level: Annotated[str, Field(examples=["warning"])]
    says: str
    remedy: str | None


class HealthView(BaseModel):
    """Every check, and the level of the whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: str
    checks: list[FindingView]


def make_router(check: Callable[[], Sequence[Finding]]) -> APIRouter:
    """Serve /api/v1/health-checks."""
    router = APIRouter(prefix="/api/v1", tags=["health"])

    @router.get("/health-checks", summary="Check this installation")
    def health_checks(_: _Reader) -> HealthView:
        findings = check()
        return HealthView(
            level=worst_of(findings).name.lower(),
            checks=[
                FindingView(
                    check=one.check, level=one.level.name.lower(), says=one.says, remedy=one.remedy
                )
                for one in findings
            ],
        )

    return router
