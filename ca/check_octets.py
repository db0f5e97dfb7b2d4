"""Re-audit: the stored octets against intent, columns, issuer and lint rules."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from cryptography import x509

from ca.check_fault import Fault, IssuerFacts, fault
from ca.distribution import named_scope
from ca.lint import RULES
from ca.lint_pkix import pkix_findings
from ca.lint_rule import finding
from ca.lint_subject import Subject, read_certificate, read_tbs
from ca.names import attributes_of, text_of
from ca.serials import to_hex
from ca.store import CertificateRecord
from ca.tbs import parse_tbs
from core import der
from core.errors import Malformed, Refused

_KIND_OF_RULE: Final = {
    "x509.signature": "signature",
    "gm.signature-form": "signature",
    "x509.serial": "serial",
    "x509.validity-order": "validity",
    "x509.validity-issuer": "validity",
    "x509.issuer-name": "issuer",
    "x509.aki-issuer": "issuer",
}
"""What has a kind of its own; all other rules are lint."""


def read_record(record: CertificateRecord, issuer: IssuerFacts | None) -> Subject:
    """Read the certificate, or what was reserved when there is none. Raises `Malformed`."""
    if record.der is None:
        identifier = der.octets_of(parse_tbs(record.tbs).signature)
        alone = read_tbs(record.tbs, signature_algorithm=identifier, issuer=None)
        above = _above(alone, issuer)
        return read_tbs(record.tbs, signature_algorithm=identifier, issuer=above)
    alone = read_certificate(record.der)
    return read_certificate(record.der, issuer=_above(alone, issuer))


def octet_faults(
    record: CertificateRecord, subject: Subject, *, accepted: Collection[str], every: bool
) -> Iterator[Fault]:
    """Compare the octets with the row, and judge them again. `every`: by pkilint too."""
    if record.der is not None and subject.tbs != record.tbs:
        yield fault("intent", record, "the signed octets are not the reserved ones")
    if subject.fields.serial != record.serial:
        said = to_hex(subject.fields.serial) if subject.fields.serial > 0 else "none"
        yield fault("serial", record, f"the certificate's serial number is {said}")
    fingerprint = None if record.der is None else hashlib.sha256(record.der).hexdigest()
    if fingerprint != record.fingerprint:
        yield fault("fingerprint", record, f"the certificate's is {fingerprint}")
    key = hashlib.sha256(subject.spki).hexdigest()
    if key != record.spki_fingerprint:
        yield fault("key", record, f"the fingerprint of the certificate's key is {key}")
    name = _name(subject)
    if name != record.subject:
        yield fault("subject", record, f"the certificate's is {name}")
    if subject.validity is not None and subject.validity != _columns(record):
        first, last = subject.validity
        yield fault(
            "validity", record, f"the certificate's is {first.isoformat()} to {last.isoformat()}"
        )
    named = named_scope(record.tbs)
    if named is not None and named.partition != record.serial % max(named.partitions, 1):
        yield fault("partition", record, f"it points to the CRL {named.name}, another serial's")
    yield from _rule_faults(record, subject, accepted=accepted, every=every)


def _rule_faults(
    record: CertificateRecord, subject: Subject, *, accepted: Collection[str], every: bool
) -> Iterator[Fault]:
    found = [finding(rule) for rule in RULES if not rule.holds(subject)]
    if every:
        found += pkix_findings(subject)
    for one in found:
        if one.rule not in accepted:
            kind = _KIND_OF_RULE.get(one.rule, "lint")
            yield fault(kind, record, f"broken rule {one.rule}: {one.title} ({one.clause})")


def _above(subject: Subject, issuer: IssuerFacts | None) -> bytes | None:
    """Return the certificate of the issuer under which this one is valid: keys are certified anew.

    None for a certificate that signs itself.
    """
    if issuer is None or subject.issuer == subject.subject:
        return None
    for octets in issuer.certificates:
        outer = read_certificate(octets).validity
        inner = subject.validity
        if outer and inner and outer[0] <= inner[0] and inner[1] <= outer[1]:
            return octets
    return issuer.certificates[0]


def _columns(record: CertificateRecord) -> tuple[datetime, datetime]:
    return record.not_before.replace(microsecond=0), record.not_after.replace(microsecond=0)


def _name(subject: Subject) -> str:
    # The reader of names takes what we issue, and that is all that is in these rows.
    wrapped = der.signed_object(subject.tbs, subject.algorithm, bytes(8))
    try:
        return text_of(attributes_of(x509.load_der_x509_certificate(wrapped).subject))
    except (ValueError, Refused, Malformed) as error:
        return f"not readable: {error}"
