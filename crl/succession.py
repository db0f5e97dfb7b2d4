"""Whether a CRL may be put in the place of the one that is published there."""

from __future__ import annotations

from cryptography import x509

from ca.issuer import Issuer
from core import der
from core.errors import InvalidSignature, Refused
from crl.store import CRLRecord
from keystore.algorithms import signature_algorithm
from keystore.verify import verify_signature


def check_signature(issuer: Issuer, record: CRLRecord) -> None:
    """Raises `Refused` unless the issuer signed this CRL."""
    tbs, identifier, signature = der.split_signed(record.der, what="the CRL")
    try:
        verify_signature(issuer.spki, signature_algorithm(identifier), tbs, signature)
    except InvalidSignature as error:
        raise Refused(f"the CRL {record.number} is not signed by {issuer.name}") from error


def check_succession(published: bytes, record: CRLRecord) -> None:
    """Raises `Refused` unless `record` follows what is published: relying parties never go back.

    The same issuer, the same kind (complete or delta), a common name in the issuing distribution
    point if there is one, and a larger CRL number (RFC 5280, 5.2.3 and 5.2.5).
    """
    try:
        before = x509.load_der_x509_crl(published)
        number, points, delta = _number(before), _points(before), _is_delta(before)
    except ValueError as error:
        raise Refused("what is published there is not a CRL: remove it") from error
    after = x509.load_der_x509_crl(record.der)
    if before.issuer.public_bytes() != after.issuer.public_bytes():
        raise Refused("the CRL that is published there is of another issuer")
    if delta is not _is_delta(after):
        raise Refused("a complete and a delta CRL do not replace each other")
    ours = _points(after)
    if points != ours and not points & ours:
        raise Refused("the CRL that is published there is for another distribution point")
    if number is None or number >= record.number:
        raise Refused(
            f"the CRL that is published there has number {number}, ours has {record.number}: "
            "was an older database put back?"
        )


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _points(crl: x509.CertificateRevocationList) -> frozenset[str]:
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return frozenset()
    names = point.full_name or ()
    return frozenset(
        name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)
    )


def _is_delta(crl: x509.CertificateRevocationList) -> bool:
    try:
        crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    except x509.ExtensionNotFound:
        return False
    return True
