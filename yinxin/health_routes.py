"""What load balancers and monitoring ask."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from core.audit_export import AuditExporter
from core.errors import TrustError
from core.http import require_role
from core.identity import Principal, Role
from yinxin.metrics import exposition, value
from yinxin.wiring import Ground, Service

_Operator = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]


Checks = Callable[[], list[tuple[str, str | None]]]
"""Names what is looked at, and what is wrong with it if something is."""


def make_health_router(checks: Checks, exporter: AuditExporter | None) -> APIRouter:
    """Serve /healthz (the process lives) and /readyz (it can answer)."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="The process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="The service can answer")
    def readyz() -> JSONResponse:
        faults = {name: fault for name, fault in checks() if fault is not None}
        status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
        targets = () if exporter is None else exporter.targets
        # A collector that is away stops nothing; who watches has to know, whoever exports.
        late = {
            f"audit/{name}": "not exported; see the log" for name in targets if _is_faulty(name)
        }
        body = {"status": "not ready" if faults else "ready", "faults": faults, "warnings": late}
        return JSONResponse(body, status_code=status, headers={"Cache-Control": "no-store"})

    return router


def _is_faulty(target: str) -> bool:
    return value("yinxin_audit_export_faulty", target=target) > 0


def make_metrics_router() -> APIRouter:
    """Serve /metrics, to an operator's token: counts say much about an administration."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", summary="Metrics in the Prometheus text format")
    def metrics(_: _Operator) -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST)

    return router


def check_database(ground: Ground) -> tuple[str, str | None]:
    """Look whether rows can be read."""
    try:
        ground.audit.list_events(limit=1)
    except TrustError:
        return "database", "cannot be read"
    return "database", None


def check_authority(service: Service) -> list[tuple[str, str | None]]:
    """Look at the database and at every CRL."""
    checks = [check_database(service.ground)]
    if checks[0][1] is not None:
        return checks
    now = service.ground.clock.now()
    for name in service.issuers:
        try:
            record = service.crls.oldest(name)
        except TrustError:
            checks.append((f"crl/{name}", "cannot be made"))
            continue
        stale = record.next_update <= now
        checks.append((f"crl/{name}", "nextUpdate has passed" if stale else None))
    return checks
