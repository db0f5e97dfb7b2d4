"""Re-audit: the issuers' own certificates and their current CRLs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cryptography import x509

from ca.check_fault import Fault, IssuerFacts, Listing
from ca.distribution import Scope, named_scope, parse_scope, scope_of
from ca.lint_subject import read_certificate
from ca.reasons import RevocationReason
from ca.serials import to_hex
from ca.sqlcheck import SQLCheckSource
from ca.store import CertificateRecord, IssuerRecord, IssuerStore, Outside
from core import der
from core.errors import InvalidSignature, Malformed, Refused
from crl.store import CRLRecord, CRLStore
from keystore.algorithms import signature_algorithm
from keystore.verify import verify_signature

_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class _List:
    record: CRLRecord
    parsed: x509.CertificateRevocationList


class CheckedIssuers:
    """The issuers of one database, read once; their CRLs, read again when asked to."""

    def __init__(self, issuers: IssuerStore, crls: CRLStore) -> None:
        self._crls = crls
        self._records: Mapping[str, IssuerRecord] = {
            record.name: record for record in issuers.list_issuers()
        }
        self._outside = issuers.list_outside()
        self._facts: dict[str, IssuerFacts] = {}
        self._lists: dict[str, _List] = {}

    def faults(self, source: SQLCheckSource) -> Iterator[Fault]:
        """Read everything, and return what is wrong above the certificates."""
        for name, record in self._records.items():
            key = der.octets_of(read_certificate(record.certificate).fields.spki)
            others = source.keys_of(hashlib.sha256(key).hexdigest())
            earlier = tuple(one for one in others if one != record.certificate)
            self._facts[name] = IssuerFacts(name, (record.certificate, *earlier))
        self.refresh_lists()
        for name in self._records:
            yield from self._chain_faults(name)
            yield from self._list_faults(name, source)

    def find(self, name: str) -> IssuerFacts | None:
        """Return what certificates of this issuer must agree with."""
        return self._facts.get(name)

    def refresh_lists(self) -> None:
        """Read the current CRLs."""
        for name in self._records:
            for scope, head in self._crls.list_heads(name).items():
                known = self._lists.get(scope)
                if known is not None and known.record.number == head.number:
                    continue
                current = self._crls.find_current(scope)
                parsed = None if current is None else _parsed(current)
                if current is not None and parsed is not None:
                    self._lists[scope] = _List(current, parsed)

    def listing(self, record: CertificateRecord) -> Listing | None:
        """Return what the CRL of a certificate says of it; None: there is no such CRL."""
        scope = _scope_of(record)
        found = self._lists.get(scope.name)
        if found is None:
            return None
        entry = found.parsed.get_revoked_certificate_by_serial_number(record.serial)
        return Listing(
            number=found.record.number,
            position=found.record.position,
            this_update=found.record.this_update,
            revoked_at=None if entry is None else entry.revocation_date_utc,
            reason=None if entry is None else _reason(entry),
        )

    def _chain_faults(self, name: str) -> Iterator[Fault]:
        record, outside = self._records[name], self._outside.get(name, Outside()).above
        path = (record.certificate, *outside)
        path = (*path, path[-1])  # a root, ours or an outside one, signs itself
        if record.parent is not None:
            parent = self._records.get(record.parent)
            if parent is None:
                yield Fault("chain", name, "", f"its issuer {record.parent} is unknown")
                return
            path = (record.certificate, parent.certificate)
        for below, above in pairwise(path):
            if not _is_signed_by(below, above):
                by = record.parent or ("an outside CA" if outside else name)
                yield Fault("chain", name, "", f"{by} did not sign its certificate")

    def _list_faults(self, name: str, source: SQLCheckSource) -> Iterator[Fault]:
        for scope in sorted(self._crls.list_heads(name)):
            current = self._crls.find_current(scope)
            if current is not None:
                yield from self._faults_of(name, current, source)

    def _faults_of(self, name: str, current: CRLRecord, source: SQLCheckSource) -> Iterator[Fault]:
        if _parsed(current) is None or not _is_signed_by(
            current.der, self._records[name].certificate
        ):
            yield Fault(
                "crl", current.scope, "", f"CRL number {current.number} is not signed by {name}"
            )
            return
        scope, serials = parse_scope(current.scope), []
        for entry in self._lists[current.scope].parsed:
            serials.append(to_hex(entry.serial_number))
            if scope_of(name, entry.serial_number, scope.partitions) != scope:
                says = f"CRL number {current.number} of another partition lists it"
                yield Fault("crl", name, serials[-1], says)
            if len(serials) == _AT_ONCE:
                yield from _unknown(name, serials, current, source)
                serials = []
        yield from _unknown(name, serials, current, source)


def _unknown(
    name: str, serials: list[str], current: CRLRecord, source: SQLCheckSource
) -> Iterator[Fault]:
    known = source.issued(name, serials) if serials else {}
    for serial in serials:
        if serial not in known:
            yield Fault("crl", name, serial, f"CRL number {current.number} lists it, no row has it")


def _scope_of(record: CertificateRecord) -> Scope:
    """Return whose CRL the certificate itself points to; the full one where it points to none."""
    found = named_scope(record.der or b"")
    if found is None:
        return Scope(record.issuer)
    return scope_of(record.issuer, record.serial, found.partitions)


def _parsed(record: CRLRecord) -> x509.CertificateRevocationList | None:
    try:
        return x509.load_der_x509_crl(record.der)
    except ValueError:
        return None


def _is_signed_by(signed: bytes, issuer: bytes) -> bool:
    """Whether a certificate or CRL is; both are SEQUENCE {tbs, algorithm, signature}."""
    try:
        tbs, identifier, signature = der.split_signed(signed, what="it")
        spki = read_certificate(issuer).spki
        verify_signature(spki, signature_algorithm(identifier), tbs, signature)
    except (InvalidSignature, Malformed, Refused):
        return False
    return True


def _reason(entry: x509.RevokedCertificate) -> RevocationReason | None:
    try:
        found = entry.extensions.get_extension_for_class(x509.CRLReason)
    except x509.ExtensionNotFound:
        return None
    return RevocationReason(found.value.reason.value)
