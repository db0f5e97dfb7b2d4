"""HTTP for publishing to a directory: how far it is, and once more."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from core.http import require_role
from core.identity import Principal, Role
from core.openapi import problems
from crl.publication import Publication
from crl.schemas_publication import PublicationView, Retried

Reader = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]
System = Annotated[Principal, Depends(require_role(Role.SYSTEM))]


def make_router(publication: Publication | None) -> APIRouter:
    """Serve ``/publication``."""
    router = APIRouter(prefix="/api/v1/publication", tags=["publication"])

    @router.get("", summary="Say how far the directory is behind", responses=problems())
    def state(_: Reader) -> PublicationView:
        return PublicationView.of(None if publication is None else publication.state())

    @router.post("/retry", summary="Try what was not taken again", responses=problems())
    def retry(_: System) -> Retried:
        return Retried(certificates=0 if publication is None else publication.retry())

    return router
