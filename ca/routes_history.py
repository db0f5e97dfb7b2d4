"""HTTP for the whole history of a certificate."""

from __future__ import annotations

from fastapi import APIRouter

from ca.history import HistoryService
from ca.routes_access import Access
from ca.schemas_history import HistoryView
from ca.serials import from_hex
from ca.wire import Reader, problems


def add_history_routes(router: APIRouter, history: HistoryService, access: Access) -> None:
    """Add ``/certificates/{issuer}/{serial}/history``."""

    @router.get(
        "/certificates/{issuer}/{serial}/history",
        tags=["certificates"],
        summary="Everything that is known about a certificate, or about its pair",
        responses=problems(404),
        dependencies=[access.see_certificate()],
    )
    def get_history(_: Reader, issuer: str, serial: str) -> HistoryView:
        return HistoryView.of(history.of(issuer, from_hex(serial)))
