"""HTTP for the queue of logout messages (role: system; audit reads)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from authn.logout.backlog import LogoutBacklog
from authn.oidc.clients import Clients
from core.errors import NotFound
from core.http import require_role
from core.identity import Principal, Role

System = Annotated[Principal, Depends(require_role(Role.SYSTEM))]
Watcher = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]


class BacklogView(BaseModel):
    """What one application has not been told yet."""

    client_id: str
    name: str
    waiting: int
    """Messages: one for each session that ended."""
    failed: int
    """Those that were tried in vain at least once."""
    attempts: int
    """The most that one message was tried."""
    oldest: datetime
    next_at: datetime
    """When one is tried again; in a moment, if that is over."""
    fault: str | None
    """Why the last attempt failed, of one of them."""


class Messages(BaseModel):
    """How many messages it was about."""

    messages: int


def make_logout_api(backlog: LogoutBacklog, clients: Clients) -> APIRouter:
    """Serve /api/v1/logout-queue."""
    router = APIRouter(prefix="/api/v1/logout-queue", tags=["clients"])

    def name_of(client_id: str) -> str:
        try:
            return clients.get(client_id).name
        except NotFound:
            return client_id

    @router.get("")
    def list_waiting(_asking: Watcher) -> list[BacklogView]:
        """List the applications that have not been told yet of the end of sessions."""
        return [
            BacklogView(name=name_of(one.client_id), **asdict(one))
            for one in backlog.list_waiting()
        ]

    @router.post("/{client_id}/retry")
    def retry(client_id: str, _asking: System) -> Messages:
        """Try everything for one application at once."""
        return Messages(messages=backlog.hurry(client_id))

    @router.post("/{client_id}/drop")
    def drop(client_id: str, asking: System) -> Messages:
        """Give up what waits for one application; it is not told."""
        return Messages(messages=backlog.drop(client_id, actor=asking.name))

    return router
