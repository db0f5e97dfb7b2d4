"""Re-audit: the state of a certificate against its events and the current CRL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ca.check_fault import Evidence, Fault, Listing, fault
from ca.reasons import RevocationReason
from ca.store import CertificateRecord, CertificateState

_S = CertificateState
_REVOKED: Final = (_S.HELD, _S.REVOKED)


def status_faults(record: CertificateRecord, evidence: Evidence) -> Iterator[Fault]:
    """Compare row, events and CRL."""
    yield from _state_faults(record)
    event = evidence.event
    if record.state in _REVOKED:
        if event is None:
            yield fault("revocation", record, f"it is {record.state}, and no event says so")
        elif (event.state, event.reason) != (record.state, record.reason):
            yield fault(
                "revocation",
                record,
                f"it is {record.state} ({record.reason}), and the last event, {event.position}, "
                f"says {event.state} ({event.reason})",
            )
    elif event is not None and event.state in _REVOKED:
        yield fault(
            "revocation",
            record,
            f"it is {record.state}, and the last event, {event.position}, says {event.state}",
        )
    if evidence.listing is not None:
        yield from _crl_faults(record, evidence, evidence.listing)


def _state_faults(record: CertificateRecord) -> Iterator[Fault]:
    if record.state in (_S.ISSUED, _S.HELD) and record.der is None:
        yield fault("state", record, f"it is {record.state}, and there is no certificate")
    if record.state in (_S.RESERVED, _S.FAILED) and record.der is not None:
        yield fault("state", record, f"it is {record.state}, and there is a certificate")
    if (record.der is None) != (record.issued_at is None):
        yield fault("state", record, "certificate and time of issue are not both there")
    if (record.state in _REVOKED) != (record.revoked_at is not None and record.reason is not None):
        yield fault("state", record, "state, date and reason of a revocation do not fit")


def _crl_faults(record: CertificateRecord, evidence: Evidence, crl: Listing) -> Iterator[Fault]:
    event = evidence.event
    if event is not None and event.position > crl.position:
        return  # changed after this CRL was made
    name = f"CRL number {crl.number}"
    if record.state not in _REVOKED:
        if crl.revoked_at is not None:
            yield fault("crl", record, f"it is {record.state}, and {name} lists it")
        return
    if crl.revoked_at is None:
        # RFC 5280, 3.3: an entry may go when the certificate has ended.
        if record.not_after >= crl.this_update and event is not None:
            yield fault("crl", record, f"it is {record.state}, and {name} does not list it")
        return
    if crl.revoked_at != record.revoked_at:
        yield fault("crl", record, f"{name} has another date, {crl.revoked_at.isoformat()}")
    # RFC 5280, 5.3.1: "unspecified" is left out.
    if (crl.reason or RevocationReason.UNSPECIFIED) is not record.reason:
        yield fault("crl", record, f"{name} has another reason, {crl.reason}")
