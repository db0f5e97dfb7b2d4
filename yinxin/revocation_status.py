"""HTTP for how the revocation service is: of this host, and of every issuer."""

from __future__ import annotations

import math
from datetime import UTC, datetime
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
    answers: dict[str, int]
    """Successful OCSP answers by what they said: good, revoked, unknown."""
    stored: int
    """Of them, those that were given from the local store."""
    waiting: int
    """How many wait for a signature now."""


class RevocationStatusView(BaseModel):
    """The counts are of all processes of the host that answers, since they started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status_age_seconds: float | None
    """Since the status log was last read to its end; None: not yet."""
    answers: dict[str, int]
    """By OCSPResponseStatus."""
    stored: int
    """Of the successful ones, those that were given from the local store."""
    oldest_answer: datetime | None
    """When the oldest stored answer that holds was signed, as of the last round (a minute ago, more
    where there are more than 100,000). None: there is none, or it was not looked yet."""
    issuers: list[IssuerRevocationView]


def make_revocation_status_router(service: Service) -> APIRouter:
    """Serve /api/v1/revocation-status."""
    router = APIRouter(prefix="/api/v1", tags=["health"])
    store, clock = SQLCRLStore(service.ground.database), service.ground.clock

    def of_issuer(name: str, counted: _Counted) -> IssuerRevocationView:
        crl = store.find_current(name)
        now = clock.now()
        ends = [one.not_after for one in store.list_delegates(name) if one.not_after > now]
        return IssuerRevocationView(
            issuer=name,
            crl_number=None if crl is None else crl.number,
            crl_this_update=None if crl is None else crl.this_update,
            crl_next_update=None if crl is None else crl.next_update,
            responder_not_after=max(ends, default=None),
            answers=counted.by("issuer_answers_total", "says", issuer=name),
            stored=counted.of("issuer_answers_total", issuer=name, source="store"),
            waiting=counted.of("signing_waiting", issuer=name),
        )

    @router.get(
        "/revocation-status",
        summary="How the revocation service is: answers of this host, CRLs and responders",
        responses=problems(),
    )
    def revocation_status(_: _Reader) -> RevocationStatusView:
        counted = _Counted()
        age = counted.sum("status_age_seconds")
        oldest = counted.of("oldest_answer_timestamp_seconds")
        return RevocationStatusView(
            status_age_seconds=round(age, 3) if math.isfinite(age) else None,
            answers=counted.by("answers_total", "status"),
            stored=counted.of("stored_answers_total"),
            oldest_answer=datetime.fromtimestamp(oldest, UTC) if oldest else None,
            issuers=[of_issuer(name, counted) for name in sorted(service.issuers)],
        )

    return router


class _Counted:
    """The OCSP metrics of this host, as they are now."""

    def __init__(self) -> None:
        self._samples = [one for metric in OCSP_COUNTS.collect() for one in metric.samples]

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels."""
        return sum(
            one.value
            for one in self._samples
            if one.name == f"yinxin_ocsp_{name}" and labels.items() <= one.labels.items()
        )

    def of(self, name: str, **labels: str) -> int:
        """Return a sum that is a whole number."""
        return int(self.sum(name, **labels))

    def by(self, name: str, label: str, **labels: str) -> dict[str, int]:
        """Return the sums for every value of a label."""
        values = dict.fromkeys(
            one.labels[label]
            for one in self._samples
            if one.name == f"yinxin_ocsp_{name}" and labels.items() <= one.labels.items()
        )
        return {value: self.of(name, **labels, **{label: value}) for value in values}
