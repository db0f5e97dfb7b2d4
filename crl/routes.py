"""The revocation service over plain HTTP: CRLs, CA certificates, and OCSP (`crl.ocsp.routes`).

Plain, because everything here is signed, and because checking a TLS certificate on the way to the
answer about a TLS certificate would not end (RFC 5280, 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from ssl import DER_cert_to_PEM_cert
from typing import Protocol

from cryptography import x509
from fastapi import APIRouter, Request, Response

from ca.pkcs7 import certs_only
from core.clock import Clock
from core.errors import NotFound
from crl.caching import Downloads, cached_response
from crl.config import RevocationConfig
from crl.ocsp.issuers import Known
from crl.ocsp.plane import OCSPPlane
from crl.ocsp.routes import make_ocsp_router
from crl.store import CRLRecord

_CA_MAX_AGE = timedelta(days=1)


class CRLSource(Protocol):
    """Where the current CRLs come from, by the name of an issuer or one of its partitions."""

    def current(self, name: str) -> CRLRecord:
        """Return the CRL. Raises `NotFound` for a name that there is not."""
        ...

    def current_delta(self, name: str) -> CRLRecord:
        """Return the delta CRL. Raises `NotFound` where there is none."""
        ...


def make_router(
    plane: OCSPPlane,
    schedule: CRLSource,
    issuers: Mapping[str, Known],
    *,
    config: RevocationConfig,
    clock: Clock,
) -> APIRouter:
    """Serve ``/ocsp``, ``/crl/{name}.crl`` and ``.delta.crl``, ``/ca/{issuer}.cer`` and others."""
    router = APIRouter()
    router.include_router(make_ocsp_router(plane))

    downloads = Downloads()

    def crl_response(request: Request, record: CRLRecord) -> Response:
        left = int((record.next_update - clock.now()).total_seconds())
        kind = "crl" if record.base is None else "delta"
        return cached_response(
            request,
            downloads.of(f"{kind}/{record.scope}", record.der),
            media_type="application/pkix-crl",
            last_modified=record.this_update,
            expires=record.next_update,
            max_age=min(config.crl.max_age_seconds, left),
            compress=True,
        )

    @router.api_route("/crl/{name:path}.delta.crl", methods=["GET", "HEAD"], tags=["crl"])
    def delta(request: Request, name: str) -> Response:
        """The current delta CRL of an issuer or a partition, DER."""
        return crl_response(request, schedule.current_delta(name))

    @router.api_route("/crl/{name:path}.crl", methods=["GET", "HEAD"], tags=["crl"])
    def crl(request: Request, name: str) -> Response:
        """The current CRL of an issuer, or of ISSUER/PARTITIONS/PARTITION, DER.

        RFC 5280; the media type is that of RFC 2585.
        """
        return crl_response(request, schedule.current(name))

    def certificates(request: Request, issuer: Known, octets: bytes, media_type: str) -> Response:
        certificate = x509.load_der_x509_certificate(issuer.certificate)
        return cached_response(
            request,
            downloads.of(f"{media_type}/{issuer.name}", octets),
            media_type=media_type,
            last_modified=certificate.not_valid_before_utc,
            expires=clock.now() + _CA_MAX_AGE,
            max_age=int(_CA_MAX_AGE.total_seconds()),
            compress=True,
        )

    def get_issuer(name: str) -> Known:
        if name not in issuers:
            raise NotFound(f"there is no issuer {name!r}")
        return issuers[name]

    @router.api_route("/ca/{issuer}.cer", methods=["GET", "HEAD"], tags=["ca"])
    def cer(request: Request, issuer: str) -> Response:
        """The issuer's certificate, DER (RFC 5280, 4.2.2.1)."""
        found = get_issuer(issuer)
        return certificates(request, found, found.certificate, "application/pkix-cert")

    @router.api_route("/ca/{issuer}.pem", methods=["GET", "HEAD"], tags=["ca"])
    def pem(request: Request, issuer: str) -> Response:
        """The issuer's certificate, PEM."""
        found = get_issuer(issuer)
        text = DER_cert_to_PEM_cert(found.certificate).encode()
        return certificates(request, found, text, "application/x-pem-file")

    @router.api_route("/ca/{issuer}.p7c", methods=["GET", "HEAD"], tags=["ca"])
    def p7c(request: Request, issuer: str) -> Response:
        """The issuer's certificate, those above it, and cross-certificates of both.

        As certs-only CMS (RFC 5280, 4.2.2.1): who builds a path takes what fits.
        """
        found = get_issuer(issuer)
        now = clock.now()
        crosses = [
            one
            for one in found.crosses
            if x509.load_der_x509_certificate(one).not_valid_after_utc > now
        ]
        chain = certs_only([found.certificate, *found.chain, *crosses])
        return certificates(request, found, chain, "application/pkcs7-mime")

    return router
