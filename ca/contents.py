"""What a profile makes of a request: subject, names, identity and validity, or a refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from ca.altnames import AlternativeName, AlternativeNameKind
from ca.names import Attributes, check_attributes
from ca.profiles import AlternativeNamesPolicy, CertificateProfile, IdentityExtension, SubjectPolicy
from core.errors import ProfileViolation
from keystore.verify import key_algorithm


@dataclass(frozen=True, slots=True)
class IssuanceRequest:
    """What the requester wants. Proof of possession is done, or the key is our own."""

    spki: bytes
    """Empty while a request waits for its key; never issued like that."""
    subject: Attributes
    requester: str
    alternative_names: tuple[AlternativeName, ...] = ()
    identity: tuple[tuple[str, str], ...] = ()
    """(Name of an identity extension of the profile, value)."""
    validity_days: int | None = None
    """None: as the profile says."""
    request_id: str | None = None
    """At most one certificate ever carries the same one; issuing again finishes what crashed."""
    temporary_key: bytes | None = None
    """SubjectPublicKeyInfo: where the encryption key of a double request goes (`keystore.cfca`)."""
    organisation_id: str | None = None
    """The branch it is issued under; not in the certificate."""
    subject_id: str | None = None
    """Of the person, organisation or device it is for; not in the certificate."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a requester chose, after the profile agreed."""

    subject: Attributes
    alternative_names: tuple[AlternativeName, ...]
    identity: tuple[tuple[IdentityExtension, str], ...]


def check_contents(request: IssuanceRequest, profile: CertificateProfile) -> Contents:
    """Apply defaults and constraints. Raises `ProfileViolation`, or `Refused` for bad names."""
    algorithm = key_algorithm(request.spki)
    if algorithm not in profile.key_algorithms:
        allowed = ", ".join(profile.key_algorithms)
        raise ProfileViolation(
            f"profile {profile.name} takes keys of {allowed}; this one is {algorithm}"
        )
    return check_choices(request, profile)


def check_choices(request: IssuanceRequest, profile: CertificateProfile) -> Contents:
    """As `check_contents`, of everything but the key."""
    subject = _subject(request.subject, profile.subject, profile.name)
    names = tuple(dict.fromkeys(request.alternative_names))
    _check_alternative_names(names, subject, profile.alternative_names, profile.name)
    return Contents(subject, names, _identity(request.identity, profile))


def validity(
    profile: CertificateProfile,
    days: int | None,
    now: datetime,
    *,
    issuer_validity: tuple[datetime, datetime] | None,
) -> tuple[datetime, datetime]:
    """Return not_before and not_after, both inclusive (RFC 5280, 4.1.2.5).

    `issuer_validity` None: the certificate signs itself. Raises `ProfileViolation`.
    """
    chosen = profile.validity_days if days is None else days
    if not 1 <= chosen <= profile.maximum_validity_days:
        raise ProfileViolation(
            f"profile {profile.name} allows 1 to {profile.maximum_validity_days} days, not {chosen}"
        )
    not_before = now - timedelta(seconds=profile.backdate_seconds)
    not_after = now + timedelta(days=chosen, seconds=-1)
    if issuer_validity is None:
        return not_before, not_after
    first, last = issuer_validity
    if not first <= now <= last:
        raise ProfileViolation(f"the issuer's certificate is valid from {first} to {last}, not now")
    if not_after > last and profile.beyond_issuer == "refuse":
        raise ProfileViolation(
            f"{chosen} days reach beyond the end of the issuer's certificate ({last})"
        )
    return max(not_before, first), min(not_after, last)


def _subject(wanted: Attributes, policy: SubjectPolicy, profile: str) -> Attributes:
    present = {short for short, _ in wanted}
    defaults = tuple(pair for pair in policy.defaults.items() if pair[0] not in present)
    subject = check_attributes((*wanted, *defaults))
    present = {short for short, _ in subject}
    missing = [short for short in policy.required if short not in present]
    if missing:
        raise ProfileViolation(f"profile {profile} requires {', '.join(missing)} in the subject")
    foreign = sorted(present - {*policy.required, *policy.optional})
    if foreign:
        raise ProfileViolation(
            f"profile {profile} does not take {', '.join(foreign)} in the subject"
        )
    for short in present - {"OU", "DC"}:
        if sum(1 for name, _ in subject if name == short) > 1:
            raise ProfileViolation(f"the subject holds {short} more than once")
    for short, value in subject:
        pattern = policy.patterns.get(short)
        if pattern is not None and re.fullmatch(pattern, value) is None:
            raise ProfileViolation(f"{short} must look like {pattern} in profile {profile}")
    return subject


def _check_alternative_names(
    names: tuple[AlternativeName, ...],
    subject: Attributes,
    policy: AlternativeNamesPolicy,
    profile: str,
) -> None:
    if not policy.minimum <= len(names) <= policy.maximum:
        raise ProfileViolation(
            f"profile {profile} takes {policy.minimum} to {policy.maximum} subject alternative "
            f"names, not {len(names)}"
        )
    for name in names:
        if name.kind not in policy.kinds:
            raise ProfileViolation(
                f"profile {profile} takes alternative names of {', '.join(policy.kinds)}, "
                f"not {name.kind}"
            )
        if name.kind is AlternativeNameKind.DNS and "*" in name.value and not policy.wildcards:
            raise ProfileViolation(f"profile {profile} does not take wildcards ({name.value})")
    if policy.common_name_listed:
        listed = {name.value for name in names}
        for short, value in subject:
            if short == "CN" and value.lower() not in listed:
                raise ProfileViolation(
                    f"CN {value!r} must also be one of the subject alternative names "
                    f"in profile {profile}"
                )


def _identity(
    wanted: tuple[tuple[str, str], ...], profile: CertificateProfile
) -> tuple[tuple[IdentityExtension, str], ...]:
    known = {extension.name: extension for extension in profile.identity_extensions}
    values = dict(wanted)
    if len(values) != len(wanted):
        raise ProfileViolation("an identity extension is asked for twice")
    for name, value in wanted:
        if name not in known:
            raise ProfileViolation(f"profile {profile.name} has no identity extension {name!r}")
        if re.fullmatch(known[name].pattern, value) is None:
            raise ProfileViolation(f"{name} must look like {known[name].pattern}")
    for extension in profile.identity_extensions:
        if extension.required and extension.name not in values:
            raise ProfileViolation(f"profile {profile.name} requires {extension.name}")
    return tuple(
        (extension, values[extension.name])
        for extension in profile.identity_extensions
        if extension.name in values
    )
