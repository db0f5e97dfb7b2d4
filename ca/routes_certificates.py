"""HTTP for certificates: search and fetch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from ca.belonging import Belonging
from ca.exports import TABLE_TYPES, table
from ca.formats import MEDIA_TYPE, CertificateFormat, negotiate, render
from ca.issuer import Issuer
from ca.routes_access import Access
from ca.schemas import CertificateList, CertificateView
from ca.schemas_belonging import CertificateDetail
from ca.schemas_inventory import SearchCriteria
from ca.serials import from_hex, to_hex
from ca.store import CertificateRecord, CertificateStore
from ca.wire import Reader, problems, scope_of
from core.clock import Clock
from core.errors import Conflict, NotFound

_FORMS: Final[dict[str, dict[str, str]]] = {
    MEDIA_TYPE[form]: {} for form in CertificateFormat if form is not CertificateFormat.JSON
}


def add_certificate_routes(
    router: APIRouter,
    store: CertificateStore,
    issuers: Mapping[str, Issuer],
    access: Access,
    *,
    belonging: Callable[[CertificateRecord], Belonging],
    clock: Clock,
) -> None:
    """Add ``/certificates`` to `router`."""

    @router.get(
        "/certificates",
        tags=["certificates"],
        summary="Search certificates, newest first",
        description="`format=csv` and `format=xlsx` send every match as a table, without pages. A "
        "search by expiry is answered soonest first, every other one newest first.",
        response_model=CertificateList,
        responses={200: {"content": {kind: {} for kind in TABLE_TYPES.values()}}, **problems(413)},
    )
    def search(
        asking: Reader,
        criteria: Annotated[SearchCriteria, Query()],
    ) -> CertificateList | Response:
        query = criteria.query(now=clock.now(), scope=scope_of(asking, access.rights))
        if criteria.format != "json":
            return table(store, query, criteria.format, sort=criteria.sort)
        page = store.search_certificates(
            query, cursor=criteria.cursor, limit=criteria.limit, sort=criteria.sort
        )
        items = tuple(CertificateView.of(record) for record in page.items)
        return CertificateList(items=items, next_cursor=page.next_cursor)

    @router.get(
        "/certificates/{issuer}/{serial}",
        tags=["certificates"],
        summary="Fetch a certificate: JSON, PEM, DER, chain or PKCS#7",
        description="The form is chosen by `format`, or by the Accept header.",
        response_model=CertificateDetail,
        responses={200: {"content": _FORMS}, **problems(404, 409)},
        dependencies=[access.see_certificate()],
    )
    def fetch(
        _: Reader,
        request: Request,
        issuer: str,
        serial: str,
        format: CertificateFormat | None = None,  # noqa: A002 - wire name
    ) -> CertificateDetail | Response:
        record = store.find_certificate(issuer, from_hex(serial))
        if record is None:
            raise NotFound(f"{issuer} has no certificate with serial {serial}")
        form = format or negotiate(request.headers.get("accept", ""))
        if form is CertificateFormat.JSON:
            return CertificateDetail.with_belonging(record, belonging(record))
        return _octets(record, issuers, form)


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
