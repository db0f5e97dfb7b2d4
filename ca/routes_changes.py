"""HTTP for what is done to a certificate: status, loss, and another one in its place."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Response

from ca.csr import parse_csr
from ca.operations import Operation
from ca.replacement import Replacement, ReplacementService
from ca.requests import EnrollmentRecord, RequestState
from ca.routes_access import Access
from ca.schemas import CertificateView, RequestView, RevokeRequest
from ca.schemas_changes import ReissueRequest, RekeyRequest, RenewRequest
from ca.serials import from_hex
from ca.statusrequests import StatusRequests
from ca.store import CertificateRecord
from ca.wire import Writer, problems

_PATH: Final = "/certificates/{issuer}/{serial}"
_WAITS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": RequestView, "description": "It waits for somebody: a review, a make, a key."}
}
_ANSWERS: Final = {**_WAITS, **problems(404, 409, 413, 422, 503)}


def add_status_routes(router: APIRouter, statuses: StatusRequests, access: Access) -> None:
    """Add ``revoke``, ``hold``, ``release`` and ``report-lost``."""

    @router.post(
        f"{_PATH}/revoke",
        tags=["certificates"],
        summary="Revoke a certificate for good",
        response_model=CertificateView | RequestView,
        responses=_ANSWERS,
        dependencies=[access.act_on_certificate(Operation.REVOKE)],
    )
    def revoke(
        asking: Writer, issuer: str, serial: str, body: RevokeRequest, response: Response
    ) -> Any:
        number = from_hex(serial)
        operation, reason = Operation.REVOKE, body.reason
        done = statuses.change(operation, issuer, number, actor=asking.name, reason=reason)
        return _view(done, response)

    @router.post(
        f"{_PATH}/hold",
        tags=["certificates"],
        summary="Suspend a certificate",
        response_model=CertificateView | RequestView,
        responses=_ANSWERS,
        dependencies=[access.act_on_certificate(Operation.FREEZE)],
    )
    def hold(asking: Writer, issuer: str, serial: str, response: Response) -> Any:
        number = from_hex(serial)
        done = statuses.change(Operation.FREEZE, issuer, number, actor=asking.name)
        return _view(done, response)

    @router.post(
        f"{_PATH}/release",
        tags=["certificates"],
        summary="End a suspension",
        response_model=CertificateView | RequestView,
        responses=_ANSWERS,
        dependencies=[access.act_on_certificate(Operation.UNFREEZE)],
    )
    def release(asking: Writer, issuer: str, serial: str, response: Response) -> Any:
        number = from_hex(serial)
        done = statuses.change(Operation.UNFREEZE, issuer, number, actor=asking.name)
        return _view(done, response)

    @router.post(
        f"{_PATH}/report-lost",
        tags=["certificates"],
        summary="Suspend a certificate at once; the review comes afterwards",
        description="Approving the request keeps the suspension, rejecting it ends it.",
        status_code=HTTPStatus.ACCEPTED,
        responses=problems(404, 409, 422, 503),
        dependencies=[access.act_on_certificate(Operation.FREEZE)],
    )
    def report_lost(asking: Writer, issuer: str, serial: str) -> RequestView:
        return RequestView.of(statuses.report_lost(issuer, from_hex(serial), actor=asking.name))


def add_replacement_routes(
    router: APIRouter,
    replacements: ReplacementService,
    access: Access,
    *,
    accept_empty_sm2_id: bool,
) -> None:
    """Add ``renew``, ``rekey`` and ``reissue``."""

    def enter(
        issuer: str, serial: str, wanted: Replacement, asking: Writer, response: Response
    ) -> RequestView:
        record = replacements.replace(issuer, from_hex(serial), wanted, actor=asking.name)
        if record.state is not RequestState.ISSUED:
            response.status_code = HTTPStatus.ACCEPTED
        response.headers["Location"] = f"/api/v1/requests/{record.id}"
        return RequestView.of(record)

    def wanted_by(operation: Operation, csr: str | None, validity_days: int | None) -> Replacement:
        if csr is None:
            return Replacement(operation, validity_days=validity_days)
        brought = parse_csr(csr.encode(), accept_empty_sm2_id=accept_empty_sm2_id)
        return Replacement(
            operation, brought.spki, validity_days, temporary_key=brought.temporary_key
        )

    @router.post(
        f"{_PATH}/renew",
        tags=["certificates"],
        summary="Ask for a new validity of the same key, inside the renewal window",
        status_code=HTTPStatus.CREATED,
        responses=_ANSWERS,
        dependencies=[access.act_on_certificate(Operation.RENEW)],
    )
    def renew(
        asking: Writer, issuer: str, serial: str, body: RenewRequest, response: Response
    ) -> RequestView:
        wanted = Replacement(Operation.RENEW, validity_days=body.validity_days)
        return enter(issuer, serial, wanted, asking, response)

    @router.post(
        f"{_PATH}/rekey",
        tags=["certificates"],
        summary="Ask for a certificate with a new key; the old one is revoked when it is issued",
        description="Without a CSR the key comes with a pick-up, or at the make step.",
        status_code=HTTPStatus.CREATED,
        responses=_ANSWERS,
        dependencies=[access.act_on_certificate(Operation.REKEY)],
    )
    def rekey(
        asking: Writer, issuer: str, serial: str, body: RekeyRequest, response: Response
    ) -> RequestView:
        wanted = wanted_by(Operation.REKEY, body.csr, body.validity_days)
        return enter(issuer, serial, wanted, asking, response)

    @router.post(
        f"{_PATH}/reissue",
        tags=["certificates"],
        summary="The medium is lost: ask for a certificate with a new key",
        description="The old certificate is revoked as soon as this is reviewed. Without a CSR "
        "the key comes with a pick-up, or at the make step.",
        status_code=HTTPStatus.CREATED,
        responses=_ANSWERS,
        dependencies=[access.act_on_certificate(Operation.REISSUE)],
    )
    def reissue(
        asking: Writer, issuer: str, serial: str, body: ReissueRequest, response: Response
    ) -> RequestView:
        wanted = replace(
            wanted_by(Operation.REISSUE, body.csr, body.validity_days), reason=body.reason
        )
        return enter(issuer, serial, wanted, asking, response)


def _view(done: CertificateRecord | EnrollmentRecord, response: Response) -> Any:
    if isinstance(done, CertificateRecord):
        return CertificateView.of(done)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = f"/api/v1/requests/{done.id}"
    return RequestView.of(done)
