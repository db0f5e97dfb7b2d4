"""HTTP for expiry notices: who was told what, and what waits."""

from __future__ import annotations

from fastapi import APIRouter

from ca.notices import NoticeService, NoticeState
from ca.rights import Rights
from ca.schemas_notices import NoticeList, NoticeView
from ca.wire import Cursor, Limit, Reader, Sort, problems, scope_of


def make_router(notices: NoticeService, rights: Rights) -> APIRouter:
    """Serve ``/notices``."""
    router = APIRouter(prefix="/api/v1")

    @router.get(
        "/notices",
        tags=["certificates"],
        summary="List expiry notices, newest first",
        responses=problems(),
    )
    def list_notices(
        asking: Reader,
        *,
        state: NoticeState | None = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        sort: Sort = None,
    ) -> NoticeList:
        page = notices.list_notices(
            state=state,
            scope=scope_of(asking, rights),
            cursor=cursor,
            limit=limit,
            sort=sort,
        )
        items = tuple(NoticeView.of(notice) for notice in page.items)
        return NoticeList(items=items, next_cursor=page.next_cursor)

    return router
