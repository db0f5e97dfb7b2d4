"""What the OCSP responder answers about one certificate at this moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ca.issuer import Issuer
from ca.parsed import parsed_certificate
from core.errors import TrustError
from crl.ocsp.responder import Responder


@dataclass(frozen=True, slots=True)
class Said:
    """The status, and until when the answer may be believed."""

    status: str
    """``good``, ``revoked``, or ``unknown`` where no answer was signed."""
    this_update: datetime | None = None
    next_update: datetime | None = None


StatusNow = Callable[[str, bytes], Said]
"""Asks about a certificate (DER) of an issuer (by name)."""


def ask_responder(
    responder: Responder, issuers: Mapping[str, Issuer], *, catch_up: Callable[[], object]
) -> StatusNow:
    """Return what asks our own responder, as a relying party would but without the network.

    `catch_up` brings its statuses up to the database: a relying party's question does the same
    for a certificate that the responder has not heard of yet.
    """

    def ask(issuer: str, der: bytes) -> Said:
        known = issuers.get(issuer)
        if known is None:
            return Said("unknown")
        builder = ocsp.OCSPRequestBuilder().add_certificate(
            x509.load_der_x509_certificate(der),
            parsed_certificate(known.certificate),
            SHA1(),  # noqa: S303 - names a key, protects nothing (RFC 6960, 4.1.1)
        )
        try:
            catch_up()
            answer = responder.answer(builder.build().public_bytes(Encoding.DER))
        except TrustError:
            return Said("unknown")
        said = ocsp.load_der_ocsp_response(answer.der)
        status = said.certificate_status.name.lower()
        return Said(status, said.this_update_utc, said.next_update_utc)

    return ask
