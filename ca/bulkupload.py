"""What may be uploaded: for which profile and issuer, with which keys, and in which columns."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from ca.bulkfile import Row, parse_file
from ca.profiles import CertificateProfile
from core.errors import NotFound, ProfileViolation, Refused
from keystore.algorithms import KeyAlgorithm


def requestable(
    profile: str,
    issuer: str,
    *,
    profiles: Mapping[str, CertificateProfile],
    issuers: Container[str],
) -> CertificateProfile:
    """Return the profile. Raises `NotFound`, and `ProfileViolation` for one of our own."""
    if issuer not in issuers:
        raise NotFound(f"there is no issuer {issuer}")
    chosen = profiles.get(profile)
    if chosen is None:
        raise NotFound(f"there is no profile {profile}")
    if not chosen.requestable:
        raise ProfileViolation(f"profile {profile} is not for requesters")
    return chosen


def chosen_algorithm(profile: CertificateProfile, wanted: KeyAlgorithm | None) -> KeyAlgorithm:
    """Return of which kind keys are made for rows without a CSR. Raises `Refused`."""
    if profile.encryption_profile is not None and profile.key_algorithms[0] != KeyAlgorithm.SM2:
        raise Refused("pairs of RSA certificates are asked for one by one: bulk takes SM2 pairs")
    if wanted is None:
        return profile.key_algorithms[0]
    if wanted not in profile.key_algorithms:
        allowed = ", ".join(profile.key_algorithms)
        raise ProfileViolation(f"profile {profile.name} takes keys of {allowed}, not {wanted}")
    return wanted


def rows_of(octets: bytes, profile: CertificateProfile, *, max_rows: int) -> Sequence[Row]:
    """Parse the file, whose columns may be identity extensions of the profile."""
    names = [extension.name for extension in profile.identity_extensions]
    return parse_file(octets, identity=names, max_rows=max_rows)
