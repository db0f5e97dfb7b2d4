"""HTTP for the settings in force, without secrets: read here, changed in the file."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from core.http import require_role
from core.identity import Principal, Role
from core.openapi import problems
from yinxin.settings import Settings, effective, flat

_Reader = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]


class SettingView(BaseModel):
    """One setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    value: Any


def make_settings_router(settings: Settings) -> APIRouter:
    """Serve /api/v1/settings."""
    router = APIRouter(prefix="/api/v1", tags=["health"])
    shown = [SettingView(key=key, value=value) for key, value in flat(effective(settings))]

    @router.get(
        "/settings", summary="Look at the settings in force, without secrets", responses=problems()
    )
    def list_settings(_: _Reader) -> list[SettingView]:
        return shown

    return router
