"""Judging the answer of any OCSP responder (RFC 6960, 3.2; for SM2 GB/T 19713 says the same)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from core import der
from core.errors import InvalidSignature, Malformed, Refused
from crl.ocsp.question import Question, tbs_of
from keystore.algorithms import SignatureAlgorithm, signature_algorithm
from keystore.verify import verify_signature

MAX_RESPONSE_OCTETS: Final = 65_536
_SKEW: Final = timedelta(minutes=5)
"""How far clocks may be apart, as OpenSSL takes it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """An answer that proved to be the responder's, about what was asked, and to hold now."""

    status: str
    """``good``, ``revoked`` or ``unknown``."""
    revoked_at: datetime | None
    reason: str | None
    """None also when it was not told."""
    produced_at: datetime
    this_update: datetime
    next_update: datetime | None
    responder: bytes | None
    """The delegated responder's certificate, DER; None: the issuer signed it itself."""
    algorithm: SignatureAlgorithm
    nonce_returned: bool


def verify_answer(octets: bytes, question: Question, *, now: datetime) -> Verified:
    """Verify an OCSPResponse, DER.

    Raises `Malformed` for what is no answer, `Refused` for one that says no, is about something
    else or does not hold now, and `InvalidSignature`. It does not look whether a delegated
    responder was revoked, nor at any path above the issuer.
    """
    response = _parse(octets)
    single = _single_of(response, question)
    algorithm = _algorithm_of(response.signature_algorithm_oid)
    responder = _check_signature(response, algorithm, question.issuer, now)
    this_update, next_update = single.this_update_utc, single.next_update_utc
    if this_update > now + _SKEW:
        raise Refused(f"the answer does not hold yet: thisUpdate is {this_update.isoformat()}")
    if next_update is not None and next_update < now - _SKEW:
        raise Refused(f"the answer holds no more: nextUpdate was {next_update.isoformat()}")
    reason = single.revocation_reason
    return Verified(
        status=single.certificate_status.name.lower(),
        revoked_at=single.revocation_time_utc,
        reason=None if reason is None else reason.value,
        produced_at=response.produced_at_utc,
        this_update=this_update,
        next_update=next_update,
        responder=responder,
        algorithm=algorithm,
        nonce_returned=_check_nonce(response, question.nonce),
    )


def _parse(octets: bytes) -> ocsp.OCSPResponse:
    if len(octets) > MAX_RESPONSE_OCTETS:
        raise Malformed(f"the answer is longer than {MAX_RESPONSE_OCTETS} octets")
    try:
        response = ocsp.load_der_ocsp_response(octets)
    except ValueError as error:
        raise Malformed(f"what came back is no OCSP answer: {error}") from error
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        word = response.response_status.name.lower().replace("_", " ")
        raise Refused(f"the responder refuses: {word}")
    return response


def _single_of(response: ocsp.OCSPResponse, question: Question) -> ocsp.OCSPSingleResponse:
    asked = ocsp.load_der_ocsp_request(question.request)
    for single in response.responses:
        if (
            single.serial_number == asked.serial_number
            and single.issuer_name_hash == asked.issuer_name_hash
            and single.issuer_key_hash == asked.issuer_key_hash
        ):
            return single
    raise Refused("the answer is about another certificate, or names it by another hash")


def _algorithm_of(oid: x509.ObjectIdentifier) -> SignatureAlgorithm:
    for parameters in (b"", der.NULL):
        try:
            return signature_algorithm(der.sequence(der.encode(oid), parameters))
        except Malformed:
            continue
    raise Malformed(
        f"the answer is signed by an algorithm that is not known here: {oid.dotted_string}"
    )


def _check_signature(
    response: ocsp.OCSPResponse, algorithm: SignatureAlgorithm, issuer: bytes, now: datetime
) -> bytes | None:
    """Return the delegated responder that signed, or None for the issuer itself."""
    signed = (response.tbs_response_bytes, response.signature)
    certificates = [one.public_bytes(Encoding.DER) for one in response.certificates]
    responder = certificates[0] if certificates and certificates[0] != issuer else None
    if responder is not None:
        _check_delegation(responder, issuer, now)
    try:
        verify_signature(_spki(responder or issuer), algorithm, *signed)
    except InvalidSignature as error:
        raise InvalidSignature("the signature of the answer is wrong") from error
    return responder


def _check_delegation(responder: bytes, issuer: bytes, now: datetime) -> None:
    """RFC 6960, 4.2.2.2: issued directly by the CA that is asked about, for this purpose."""
    tbs, algorithm, signature = der.split_signed(responder, what="the responder's certificate")
    try:
        verify_signature(_spki(issuer), signature_algorithm(algorithm), tbs, signature)
    except InvalidSignature as error:
        raise InvalidSignature("the responder's certificate is not from the issuer") from error
    certificate = x509.load_der_x509_certificate(responder)
    if ExtendedKeyUsageOID.OCSP_SIGNING not in _purposes(certificate):
        raise Refused("who signed the answer has no certificate for signing OCSP answers")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Refused("the responder's certificate is not valid now")


def _purposes(certificate: x509.Certificate) -> Sequence[x509.ObjectIdentifier]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return ()


def _spki(certificate: bytes) -> bytes:
    return der.octets_of(tbs_of(certificate).spki)


def _check_nonce(response: ocsp.OCSPResponse, sent: bytes) -> bool:
    """Whether the nonce came back. A responder may leave it out (RFC 9654, 2.1), not change it."""
    try:
        found = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return False
    if found != sent:
        raise Refused("the answer carries another nonce than the one that was sent")
    return True
