"""What a certificate says, as a request for another one like it."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from ca.altnames import parse_general_names
from ca.contents import IssuanceRequest
from ca.names import Attributes, attributes_of
from ca.profiles import CertificateProfile, IdentityExtension
from ca.requests import is_encryption_request, partner_request_id
from ca.store import CertificateRecord, CertificateStore
from ca.tbs import extension_value, parse_tbs
from core import der


@asn1.sequence
class _Wrapped:
    inner: asn1.TLV


def request_like(
    record: CertificateRecord,
    profile: CertificateProfile,
    *,
    spki: bytes,
    requester: str,
    validity_days: int | None = None,
) -> IssuanceRequest:
    """Ask for the subject, names and identity of `record`, for another key or the same one."""
    tbs = parse_tbs(record.tbs)
    names = extension_value(tbs, x509.SubjectAlternativeName.oid)
    identity = []
    for extension in profile.identity_extensions:
        found = extension_value(tbs, ObjectIdentifier(extension.oid))
        if found is not None:
            identity.append((extension.name, _identity_text(extension, found)))
    return IssuanceRequest(
        spki=spki,
        subject=subject_of(record),
        requester=requester,
        alternative_names=() if names is None else parse_general_names(names),
        identity=tuple(identity),
        validity_days=validity_days,
        organisation_id=record.organisation_id,
        subject_id=record.subject_id,
    )


def subject_of(record: CertificateRecord) -> Attributes:
    """Return the name that was certified."""
    # `cryptography` reads a Name inside a certificate only; nobody looks at the signature here.
    identifier = der.octets_of(parse_tbs(record.tbs).signature)
    bare = der.signed_object(record.tbs, identifier, b"")
    return attributes_of(x509.load_der_x509_certificate(bare).subject)


def spki_of(record: CertificateRecord) -> bytes:
    """Return the key that was certified, DER SubjectPublicKeyInfo."""
    return der.octets_of(parse_tbs(record.tbs).spki)


def signing_half(store: CertificateStore, record: CertificateRecord) -> CertificateRecord:
    """Return the signing certificate of a pair, whose profile rules both; or `record` itself."""
    if record.request_id is None or not is_encryption_request(record.request_id):
        return record
    return store.find_by_request(partner_request_id(record.request_id)) or record


def _identity_text(extension: IdentityExtension, value: bytes) -> str:
    if extension.explicit_tag is not None:
        value = _contents(value)
    return _contents(value).decode()


def _contents(element: bytes) -> bytes:
    wrapped = der.decode(_Wrapped, der.sequence(element), what="an identity extension")
    return bytes(wrapped.inner.data)
