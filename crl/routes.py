"""The revocation service over plain HTTP: CRLs, CA certificates, and OCSP (`crl.ocsp.routes`).

Plain, because everything here is signed, and because checking a TLS certificate on the way to the
answer about a TLS certificate would not end (RFC 5280, 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from ssl import DER_cert_to_PEM_cert

from cryptography import x509
from fastapi import APIRouter, Request, Response

from ca.issuer import Issuer
from ca.pkcs7 import certs_only
from core.clock import Clock
from core.errors import NotFound
from crl.caching import cached_response
from crl.config import RevocationConfig
from crl.ocsp.plane import OCSPPlane
from crl.ocsp.routes import make_ocsp_router
from crl.schedule import CRLSchedule

_CA_MAX_AGE = timedelta(days=1)


def make_router(
    plane: OCSPPlane,
    schedule: CRLSchedule,
    issuers: Mapping[str, Issuer],
    *,
    config: RevocationConfig,
    clock: Clock,
) -> APIRouter:
    """Serve ``/ocsp``, ``/crl/{issuer}.crl`` and ``/ca/{issuer}.cer``, ``.pem``, ``.p7c``."""
    router = APIRouter()
    router.include_router(make_ocsp_router(plane))

    @router.api_route("/crl/{issuer}.crl", methods=["GET", "HEAD"], tags=["crl"])
    def crl(request: Request, issuer: str) -> Response:
        """The current CRL, DER (RFC 5280; media type of RFC 2585)."""
        record = schedule.current(issuer)
        left = int((record.next_update - clock.now()).total_seconds())
        return cached_response(
            request,
            record.der,
            media_type="application/pkix-crl",
            last_modified=record.this_update,
            expires=record.next_update,
            max_age=min(config.crl.max_age_seconds, left),
        )

    def certificates(request: Request, issuer: Issuer, octets: bytes, media_type: str) -> Response:
        certificate = x509.load_der_x509_certificate(issuer.certificate)
        return cached_response(
            request,
            octets,
            media_type=media_type,
            last_modified=certificate.not_valid_before_utc,
            expires=clock.now() + _CA_MAX_AGE,
            max_age=int(_CA_MAX_AGE.total_seconds()),
        )

    def get_issuer(name: str) -> Issuer:
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
