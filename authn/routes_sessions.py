"""HTTP for the sessions of everybody: who is signed in, and an end to it (role: system)."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from authn.schemas import SessionsEnded
from authn.sessions import Sessions
from authn.users import Users
from core.errors import NotFound
from core.http import require_role
from core.identity import Principal, Role
from core.openapi import Sort

System = Annotated[Principal, Depends(require_role(Role.SYSTEM))]
Watcher = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]


class SessionView(BaseModel):
    """One browser that is signed in."""

    sid: str
    user_id: str
    user: str
    display_name: str
    level: str
    """``password``, ``two-factors``, ``certificate`` or ``hardware-key``."""
    methods: list[str]
    """RFC 8176."""
    auth_time: datetime
    seen_at: datetime
    expires_at: datetime
    applications: list[str]
    """Client ids of the applications that hold something of it: a token, a pass."""


class SessionList(BaseModel):
    """One page of sessions, those that end last first."""

    items: list[SessionView]
    next_cursor: str | None


def make_session_api(sessions: Sessions, users: Users) -> APIRouter:
    """Serve /api/v1/sessions."""
    router = APIRouter(prefix="/api/v1/sessions", tags=["users"])

    @router.get("")
    def list_sessions(
        _asking: Watcher,
        *,
        user: Annotated[str | None, Query(max_length=64, description="User name.")] = None,
        client: Annotated[
            str | None, Query(max_length=64, description="Application that was entered.")
        ] = None,
        cursor: Annotated[str | None, Query(max_length=80)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        sort: Sort = None,
    ) -> SessionList:
        """List the live sessions of browsers, of everybody or of one user, in any application.

        By `expires`, `auth_time` or `seen`.
        """
        whose = None if user is None else users.find_by_name(user)
        if user is not None and whose is None:
            return SessionList(items=[], next_cursor=None)
        found = sessions.list_live(
            whose, client_id=client, after=cursor, limit=limit + 1, sort=sort
        )
        entered = sessions.applications_of([session.sid for session, _ in found[:limit]])
        items = [
            SessionView(
                sid=session.sid,
                user_id=person.id,
                user=person.name,
                display_name=person.display_name,
                level=session.level.word,
                methods=session.amr.split(),
                auth_time=session.auth_time,
                seen_at=session.seen_at,
                expires_at=session.expires_at,
                applications=list(entered.get(session.sid, ())),
            )
            for session, person in found[:limit]
        ]
        last = items[-1] if len(found) > limit else None
        return SessionList(items=items, next_cursor=None if last is None else last.sid)

    @router.post("/of-application/{client_id}/end")
    def end_of_application(client_id: str, asking: System) -> SessionsEnded:
        """End every session in which an application was entered, at other applications, too."""
        if len(client_id) > 64:
            raise NotFound("there is no such client")
        return SessionsEnded(sessions=sessions.end_of_application(client_id, actor=asking.name))

    @router.post("/{sid}/end", status_code=HTTPStatus.NO_CONTENT)
    def end(sid: str, asking: System) -> None:
        """End one session; the applications that were entered with it are told."""
        if len(sid) > 36:
            raise NotFound("there is no such session")
        sessions.end_one(sid, actor=asking.name)

    return router
