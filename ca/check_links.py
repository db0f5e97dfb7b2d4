"""Re-audit: a certificate against its profile, its request and the other half of its pair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from ca.check_fault import Evidence, Fault, fault
from ca.lint import pair_findings
from ca.lint_subject import Subject, read_certificate
from ca.profiles import CertificateProfile
from ca.requests import is_encryption_request
from ca.store import CertificateRecord
from core.errors import Malformed, Refused
from keystore.verify import key_algorithm

Profiles = Mapping[str, CertificateProfile]

_OF_A_REQUEST: Final = re.compile(r"[0-9a-f]{32}(?:\.encryption)?")
_USAGE_NAMES: Final = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
)


def profile_faults(
    record: CertificateRecord, subject: Subject, profiles: Profiles
) -> Iterator[Fault]:
    """Compare with the profile as it is now; it may have been changed since."""
    profile = profiles.get(record.profile)
    if profile is None:
        yield fault("profile", record, f"there is no profile {record.profile} any more")
        return
    for wrong in _differences(subject, profile):
        yield fault("profile", record, f"{wrong} of profile {profile.name}")


def _differences(subject: Subject, profile: CertificateProfile) -> Iterator[str]:
    try:
        algorithm = key_algorithm(subject.spki)
    except (Malformed, Refused):
        return  # a lint rule has named it
    if algorithm not in profile.key_algorithms:
        yield f"a key of {algorithm} is not one"
    usage = [_USAGE_NAMES[bit] for bit in sorted(subject.key_usage or ()) if bit < 7]
    if set(usage) != set(profile.key_usage.of(algorithm)):
        yield f"the key usage {', '.join(usage) or 'none'} is not that"
    purposes = tuple(oid.dotted_string for oid in subject.extended_key_usage or ())
    if purposes != profile.extended_key_usage:
        yield f"the extended key usage {', '.join(purposes) or 'none'} is not that"
    if subject.authority != profile.authority:
        yield "being a CA or not is not as in certificates"
    if subject.validity is not None:
        longest = timedelta(days=profile.maximum_validity_days, seconds=profile.backdate_seconds)
        if subject.validity[1] - subject.validity[0] > longest:
            yield "the validity is longer than that"


def request_faults(
    record: CertificateRecord, subject: Subject, evidence: Evidence, profiles: Profiles
) -> Iterator[Fault]:
    """Compare with the request; what this service issued for itself has none."""
    if record.request_id is None or _OF_A_REQUEST.fullmatch(record.request_id) is None:
        return
    request = evidence.request
    if request is None:
        yield fault("request", record, f"there is no request {record.request_id}")
        return
    if request.rejected and record.der is not None:
        yield fault("request", record, "the request was rejected")
    expected: str | None = request.profile
    if is_encryption_request(record.request_id):
        signing = profiles.get(request.profile)
        expected = None if signing is None else signing.encryption_profile
    elif request.spki not in (b"", subject.spki):
        yield fault("request", record, "the request was for another key")
    if expected != record.profile:
        yield fault("request", record, f"the request was for profile {request.profile}")


def pair_faults(
    record: CertificateRecord, subject: Subject, evidence: Evidence, profiles: Profiles
) -> Iterator[Fault]:
    """See that a pair is whole; its rules are judged once, at its signing certificate."""
    profile = profiles.get(record.profile)
    request_id = record.request_id or ""
    second = is_encryption_request(request_id)
    if record.der is None or not request_id:
        return
    if not second and (profile is None or profile.encryption_profile is None):
        return
    if not evidence.has_envelope:
        yield fault("pair", record, "the envelope of its key is missing")
    other = evidence.partner
    if other is None or other.der is None:
        yield fault("pair", record, "its other half is missing")
        return
    if other.state is not record.state:
        yield fault("pair", record, f"it is {record.state}, and its other half {other.state}")
    if second:
        return
    try:
        halves = read_certificate(other.der)
    except Malformed:
        return  # said of the other half
    for one in pair_findings(subject, halves):
        yield fault("pair", record, f"broken rule {one.rule}: {one.title} ({one.clause})")
