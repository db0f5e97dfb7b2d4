"""HTTP for certificates: search, fetch, revoke, hold, release."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from ca.formats import MEDIA_TYPE, CertificateFormat, negotiate, render
from ca.issuer import Issuer
from ca.operations import Operation
from ca.revocation import RevocationService
from ca.routes_access import Access
from ca.schemas import CertificateList, CertificateView, RevokeRequest
from ca.serials import from_hex, to_hex
from ca.store import (
    CertificateQuery,
    CertificateRecord,
    CertificateState,
    CertificateStore,
    Page,
)
from ca.wire import Cursor, Limit, Reader, Writer, problems, scope_of
from core.clock import Clock
from core.errors import Conflict, NotFound

_CSV_PAGE: Final = 1000
_COLUMNS: Final = (
    "issuer",
    "serial",
    "state",
    "profile",
    "subject",
    "not_before",
    "not_after",
    "fingerprint",
    "requester",
    "issued_at",
    "revoked_at",
    "reason",
)
_FORMS: Final[dict[str, dict[str, str]]] = {
    MEDIA_TYPE[form]: {} for form in CertificateFormat if form is not CertificateFormat.JSON
}


def add_certificate_routes(
    router: APIRouter,
    store: CertificateStore,
    revocation: RevocationService,
    issuers: Mapping[str, Issuer],
    access: Access,
    *,
    clock: Clock,
) -> None:
    """Add ``/certificates`` to `router`."""

    @router.get(
        "/certificates",
        tags=["certificates"],
        summary="Search certificates, newest first",
        description="`format=csv` sends every match as a table, without pages.",
        response_model=CertificateList,
        responses={200: {"content": {"text/csv": {}}}, **problems()},
    )
    def search(
        asking: Reader,
        *,
        issuer: str | None = None,
        state: CertificateState | None = None,
        profile: str | None = None,
        text: Annotated[str | None, Query(max_length=200)] = None,
        spki_fingerprint: Annotated[str | None, Query(max_length=64)] = None,
        expires_within_days: Annotated[int | None, Query(ge=0, le=36600)] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        format: Annotated[str, Query(pattern="^(json|csv)$")] = "json",  # noqa: A002 - wire name
    ) -> CertificateList | StreamingResponse:
        query = CertificateQuery(
            scope=scope_of(asking, access.rights),
            issuer=issuer,
            state=state,
            profile=profile,
            text=text,
            spki_fingerprint=spki_fingerprint,
            expires_before=None
            if expires_within_days is None
            else clock.now() + timedelta(days=expires_within_days),
        )
        if format == "csv":
            # The first page is read here: an error of it is still an answer and not half a table.
            first = store.search_certificates(query, limit=_CSV_PAGE)
            return StreamingResponse(
                _csv(store, query, first),
                media_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": 'attachment; filename="certificates.csv"'},
            )
        page = store.search_certificates(query, cursor=cursor, limit=limit)
        items = tuple(CertificateView.of(record) for record in page.items)
        return CertificateList(items=items, next_cursor=page.next_cursor)

    @router.get(
        "/certificates/{issuer}/{serial}",
        tags=["certificates"],
        summary="Fetch a certificate: JSON, PEM, DER, chain or PKCS#7",
        description="The form is chosen by `format`, or by the Accept header.",
        response_model=CertificateView,
        responses={200: {"content": _FORMS}, **problems(404, 409)},
        dependencies=[access.see_certificate()],
    )
    def fetch(
        _: Reader,
        request: Request,
        issuer: str,
        serial: str,
        format: CertificateFormat | None = None,  # noqa: A002 - wire name
    ) -> CertificateView | Response:
        record = store.find_certificate(issuer, from_hex(serial))
        if record is None:
            raise NotFound(f"{issuer} has no certificate with serial {serial}")
        form = format or negotiate(request.headers.get("accept", ""))
        if form is CertificateFormat.JSON:
            return CertificateView.of(record)
        return _octets(record, issuers, form)

    _add_changes(router, revocation, access)


def _add_changes(router: APIRouter, revocation: RevocationService, access: Access) -> None:
    answers = problems(404, 409, 422, 503)

    @router.post(
        "/certificates/{issuer}/{serial}/revoke",
        tags=["certificates"],
        summary="Revoke a certificate for good",
        responses=answers,
        dependencies=[access.act_on_certificate(Operation.REVOKE)],
    )
    def revoke(asking: Writer, issuer: str, serial: str, body: RevokeRequest) -> CertificateView:
        number = from_hex(serial)
        return CertificateView.of(revocation.revoke(issuer, number, body.reason, actor=asking.name))

    @router.post(
        "/certificates/{issuer}/{serial}/hold",
        tags=["certificates"],
        summary="Suspend a certificate",
        responses=answers,
        dependencies=[access.act_on_certificate(Operation.FREEZE)],
    )
    def hold(asking: Writer, issuer: str, serial: str) -> CertificateView:
        return CertificateView.of(revocation.hold(issuer, from_hex(serial), actor=asking.name))

    @router.post(
        "/certificates/{issuer}/{serial}/release",
        tags=["certificates"],
        summary="End a suspension",
        responses=answers,
        dependencies=[access.act_on_certificate(Operation.UNFREEZE)],
    )
    def release(asking: Writer, issuer: str, serial: str) -> CertificateView:
        return CertificateView.of(revocation.release(issuer, from_hex(serial), actor=asking.name))


def _octets(
    record: CertificateRecord, issuers: Mapping[str, Issuer], form: CertificateFormat
) -> Response:
    if record.der is None:
        raise Conflict(f"serial {to_hex(record.serial)} is {record.state}: there is no certificate")
    issuer = issuers.get(record.issuer)
    if issuer is None:
        raise NotFound(f"there is no issuer {record.issuer}")
    # A root's own certificate has nothing above it.
    above = () if record.der == issuer.certificate else (issuer.certificate, *issuer.chain)
    name = f"{record.issuer}-{to_hex(record.serial)}"
    suffix = "pem" if form is CertificateFormat.CHAIN else form
    return Response(
        render(record.der, above, form),
        media_type=MEDIA_TYPE[form],
        headers={"Content-Disposition": f'attachment; filename="{name}.{suffix}"'},
    )


def _csv(store: CertificateStore, query: CertificateQuery, page: Page) -> Iterator[str]:
    yield _line(_COLUMNS)
    while True:
        for record in page.items:
            fields = CertificateView.of(record).model_dump(mode="json")
            yield _line(tuple(_cell(fields[name]) for name in _COLUMNS))
        if page.next_cursor is None:
            return
        page = store.search_certificates(query, cursor=page.next_cursor, limit=_CSV_PAGE)


def _cell(value: str | None) -> str:
    text = value or ""
    # Spreadsheets take such a cell for a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def _line(cells: tuple[str, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
