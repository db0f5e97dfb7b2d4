"""HTTP for holders: they show their certificate in TLS, or sign a CSR with its key."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from ca.handover import DeliveryDesk
from ca.holder import HolderDesk
from ca.requests import RequestState
from ca.schemas import CertificateView, RequestView
from ca.schemas_history import RecoveryLine
from ca.schemas_pickup import DeliveryView, RenewalRequest
from ca.serials import from_hex
from ca.wire import problems
from core.errors import Malformed, Unauthenticated
from core.http import client_certificate


def _shown(request: Request) -> bytes:
    certificate = client_certificate(request)
    if certificate is None:
        raise Unauthenticated("connect with your certificate, on the port for client certificates")
    return certificate


Shown = Annotated[bytes, Depends(_shown)]


def add_holder_routes(router: APIRouter, holders: HolderDesk, deliveries: DeliveryDesk) -> None:
    """Add ``/renewal``, open to who has the key, and ``/my``, for client certificates."""

    @router.post(
        "/renewal",
        tags=["subscribers"],
        summary="Renew a certificate by possession of its key",
        description="With a client certificate: that one is renewed, for the same key or for the "
        "key of the CSR. Without: issuer and serial say which, and the CSR is signed with its key. "
        "202 while an operator has to review it; call again for the result.",
        status_code=HTTPStatus.CREATED,
        responses={
            202: {"model": DeliveryView, "description": "It waits for a review."},
            **problems(409, 413, 422, 503),
        },
    )
    def renew(body: RenewalRequest, request: Request, response: Response) -> DeliveryView:
        certificate = client_certificate(request)
        csr = None if body.csr is None else body.csr.encode()
        if certificate is not None:
            record = holders.renew(certificate, csr)
        elif csr is None or body.issuer is None or body.serial is None:
            raise Malformed(
                "connect with your certificate, or send issuer, serial and a CSR of its key"
            )
        else:
            address = "unknown" if request.client is None else request.client.host
            serial = from_hex(body.serial)
            record = holders.renew_by_key(body.issuer, serial, csr, address=address)
        if record.state is not RequestState.ISSUED:
            response.status_code = HTTPStatus.ACCEPTED
        response.headers["Cache-Control"] = "no-store"
        return DeliveryView.of(deliveries.of(record, body.wanted))

    @router.get(
        "/my/certificates",
        tags=["subscribers"],
        summary="List the certificates of who shows one of them",
        responses=problems(),
    )
    def my_certificates(shown: Shown) -> list[CertificateView]:
        return [CertificateView.of(record) for record in holders.certificates(shown)]

    @router.get(
        "/my/certificates/{issuer}/{serial}/recoveries",
        tags=["subscribers"],
        summary="See every recovery of one's encryption key",
        responses=problems(404, 503),
    )
    def my_recoveries(shown: Shown, issuer: str, serial: str) -> list[RecoveryLine]:
        found = holders.recoveries(shown, issuer, from_hex(serial))
        return [RecoveryLine.of(recovery) for recovery in found]

    @router.post(
        "/my/certificates/{issuer}/{serial}/report-lost",
        tags=["subscribers"],
        summary="Suspend one's certificate at once; an operator looks at it afterwards",
        status_code=HTTPStatus.ACCEPTED,
        responses=problems(404, 409, 503),
    )
    def my_loss(shown: Shown, issuer: str, serial: str) -> RequestView:
        return RequestView.of(holders.report_lost(shown, issuer, from_hex(serial)))
