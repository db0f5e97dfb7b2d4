"""HTTP for how the revocation service is: of this host, and of every issuer."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from core.http import require_role
from core.identity import Principal, Role
from core.openapi import problems
from crl.ocsp.counts import OCSP_COUNTS
from crl.sqlstore import SQLCRLStore
from yinxin.wiring import Service

_Reader = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.BUSINESS, Role.AUDIT))]


class IssuerRevocationView(BaseModel):
    """What one issuer publishes, and until when it holds. None: there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    crl_number: int | None
    crl_this_update: datetime | None
    crl_next_update: datetime | None
    responder_not_after: datetime | None
    """Of the delegated responder that lasts longest."""


class RevocationStatusView(BaseModel):
    """The counts are of all processes of the host that answers, since they started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status_age_seconds: float | None
    """Since the status log was last read to its end; None: not yet."""
    answers: dict[str, int]
    """By OCSPResponseStatus."""
    stored: int
    """Of the successful ones, those that were given from the local store."""
    issuers: list[IssuerRevocationView]


def make_revocation_status_router(service: Service) -> APIRouter:
    """Serve /api/v1/revocation-status."""
    router = APIRouter(prefix="/api/v1", tags=["health"])
    store, clock = SQLCRLStore(service.ground.database), service.ground.clock

    def of_issuer(name: str) -> IssuerRevocationView:
        crl = store.find_current(name)
        now = clock.now()
        ends = [one.not_after for one in store.list_delegates(name) if one.not_after > now]
        return IssuerRevocationView(
            issuer=name,
            crl_number=None if crl is None else crl.number,
            crl_this_update=None if crl is None else crl.this_update,
            crl_next_update=None if crl is None else crl.next_update,
            responder_not_after=max(ends, default=None),
        )

    @router.get(
        "/revocation-status",
        summary="How the revocation service is: answers of this host, CRLs and responders",
        responses=problems(),
    )
    def revocation_status(_: _Reader) -> RevocationStatusView:
        samples = [one for metric in OCSP_COUNTS.collect() for one in metric.samples]
        age, stored = (
            sum(s.value for s in samples if s.name == f"yinxin_ocsp_{name}")
            for name in ("status_age_seconds", "stored_answers_total")
        )
        return RevocationStatusView(
            status_age_seconds=round(age, 3) if math.isfinite(age) else None,
            answers={
                s.labels["status"]: int(s.value)
                for s in samples
                if s.name == "yinxin_ocsp_answers_total"
            },
            stored=int(stored),
            issuers=[of_issuer(name) for name in sorted(service.issuers)],
        )

    return router
