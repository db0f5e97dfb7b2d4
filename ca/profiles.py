"""Certificate profiles: what one kind of certificate contains, and what a requester may choose.

A profile is a TOML file, validated at start. Every field is either fixed by the profile or has a
default and a constraint (the pairs of Dogtag's profiles). Built-in ones: `ca/profile_data`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final, Literal, Self

from cryptography.x509 import ObjectIdentifier
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ca.altnames import AlternativeNameKind
from ca.names import ATTRIBUTE_TYPES
from core.errors import Misconfigured
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import ESCROWED, Dialect, possible_dialects

KeyUsageName = Literal[
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
]
_PROFILE_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IssuerKind(StrEnum):
    """Which issuers may use a profile."""

    SELF = "self"
    """The certificate signs itself."""
    ROOT = "root"
    ISSUING = "issuing"


class SubjectPolicy(_Model):
    """Which name attributes must and may be there, their defaults and their form."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    defaults: dict[str, str] = {}
    patterns: dict[str, str] = {}
    """Regular expressions over the whole value."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = (*self.required, *self.optional)
        for name in (*known, *self.defaults, *self.patterns):
            if name not in ATTRIBUTE_TYPES:
                raise ValueError(f"{name!r} is not a name attribute")
            if name not in known:
                raise ValueError(f"{name!r} has a rule and is neither required nor optional")
        for pattern in self.patterns.values():
            _compile(pattern)
        return self


class AlternativeNamesPolicy(_Model):
    """Which subject alternative names a requester may choose."""

    kinds: tuple[AlternativeNameKind, ...] = ()
    minimum: int = Field(default=0, ge=0)
    maximum: int = Field(default=0, ge=0, le=1000)
    wildcards: bool = False
    common_name_listed: bool = False
    """CN must be one of the DNS, IP or e-mail names."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is more than maximum {self.maximum}")
        if bool(self.kinds) != bool(self.maximum):
            raise ValueError("kinds and maximum go together")
        return self


class IdentityExtension(_Model):
    """One extension that carries an identity (GB/T 20518, GM/T 0015), as data."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,63}$")
    oid: str
    kind: Literal["printable", "utf8", "ia5"]
    explicit_tag: int | None = Field(default=None, ge=0, le=30)
    critical: bool = False
    required: bool = False
    pattern: str = r"[ -~]{1,64}"

    @field_validator("oid")
    @classmethod
    def _is_oid(cls, value: str) -> str:
        ObjectIdentifier(value)
        return value

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        return _compile(value)


class KeyUsagePolicy(_Model):
    """Key usage, by family of the subject's key where families differ."""

    default: tuple[KeyUsageName, ...] = Field(min_length=1)
    rsa: tuple[KeyUsageName, ...] | None = None
    sm2: tuple[KeyUsageName, ...] | None = None

    def of(self, algorithm: KeyAlgorithm) -> tuple[KeyUsageName, ...]:
        """Return the bits for a key of this algorithm."""
        if algorithm is KeyAlgorithm.SM2:
            return self.sm2 or self.default
        if algorithm.startswith("rsa"):
            return self.rsa or self.default
        return self.default


class CertificateProfile(_Model):
    """One kind of certificate."""

    name: str
    title: str
    authority: bool = False
    """True: the certificate of a CA (BasicConstraints, no extended key usage)."""
    path_length: int | None = Field(default=None, ge=0, le=10)
    requestable: bool = True
    """False: only this service itself issues it."""
    self_service: bool = False
    """True: people apply for it in the portal, for themselves (docs/portal.md)."""
    needs_approval: bool = True
    needs_make: bool = False
    """True: after the review, another operator makes the certificate (制证)."""
    renewal_window_days: int = Field(default=30, ge=1, le=36600)
    """It can be renewed from so many days before its end on."""
    renewal_grace_days: int = Field(default=0, ge=0, le=3660)
    """It can be renewed, re-keyed or re-issued for so many days after its end."""
    key_in_hardware: bool = False
    """True: requests come from a device that made the key and never gives it away (智能密码钥匙); a
    login with such a certificate is the strongest. Whoever approves them answers for it."""
    encryption_profile: str | None = None
    """The other half of a pair: a request for this profile gives two certificates, and the key of
    the second comes from the key management centre (docs/key-management.md)."""
    envelopes: tuple[Dialect, ...] = ()
    """How a pair's encryption key may be fetched, the usual way first (docs/key-management.md).
    Empty: every way that needs the holder's private key, which leaves out pkcs12."""
    issued_by: tuple[IssuerKind, ...] = (IssuerKind.ISSUING,)
    key_algorithms: tuple[KeyAlgorithm, ...] = Field(min_length=1)
    validity_days: int = Field(ge=1, le=36600)
    maximum_validity_days: int = Field(ge=1, le=36600)
    backdate_seconds: int = Field(default=300, ge=0, le=86400)
    """How far not_before lies in the past, for clocks that run late."""
    beyond_issuer: Literal["refuse", "clamp"] = "clamp"
    """What to do when the certificate would outlive its issuer."""
    sm2_parameters: Literal["absent", "null"] = "absent"
    """Parameters of sm2sign-with-sm3 in the certificate; some products want NULL."""
    key_usage: KeyUsagePolicy
    extended_key_usage: tuple[str, ...] = ()
    certificate_policies: tuple[str, ...] = ()
    authority_information_access: tuple[Literal["ocsp", "caIssuers"], ...] = ("ocsp", "caIssuers")
    crl_distribution_points: bool = True
    ocsp_nocheck: bool = False
    subject: SubjectPolicy
    alternative_names: AlternativeNamesPolicy = AlternativeNamesPolicy()
    identity_extensions: tuple[IdentityExtension, ...] = ()

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if _PROFILE_NAME.fullmatch(value) is None:
            raise ValueError("a profile name is lowercase letters, digits and hyphens")
        return value

    @field_validator("extended_key_usage", "certificate_policies")
    @classmethod
    def _oids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            ObjectIdentifier(item)
        return value

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """Return the envelopes of a pair, the usual one first; none for a single certificate."""
        if self.encryption_profile is None:
            return ()
        possible = possible_dialects(self.key_algorithms[0])
        return self.envelopes or tuple(d for d in possible if d is not Dialect.PKCS12)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.validity_days > self.maximum_validity_days:
            raise ValueError(
                f"validity_days {self.validity_days} is more than maximum_validity_days "
                f"{self.maximum_validity_days}"
            )
        usages = {*self.key_usage.default, *(self.key_usage.rsa or ()), *(self.key_usage.sm2 or ())}
        if ("keyCertSign" in usages) != self.authority:
            raise ValueError(
                "keyCertSign is for authorities, and for them only (RFC 5280, 4.2.1.9)"
            )
        if self.envelopes and self.encryption_profile is None:
            raise ValueError("envelopes are for pairs: encryption_profile is missing")
        if self.self_service:
            self._check_self_service()
        if self.authority and self.extended_key_usage:
            raise ValueError("a CA certificate has no extended key usage (docs/divergences.md)")
        if not self.authority and self.path_length is not None:
            raise ValueError("path_length is for authorities")
        if self.ocsp_nocheck and (
            self.crl_distribution_points or self.authority_information_access
        ):
            raise ValueError("ocsp_nocheck means: no CRL and no OCSP for this certificate")
        return self

    def _check_self_service(self) -> None:
        """Refuse what the portal cannot fill in: it knows the person's name and their account."""
        known = {*self.subject.required, *self.subject.optional}
        missing = set(self.subject.required) - {"CN", "UID", *self.subject.defaults}
        if self.authority or not self.requestable:
            raise ValueError("self_service is for what requesters ask for")
        if not {"CN", "UID"} <= known:
            raise ValueError(
                "self_service: the subject takes CN, and UID, which makes it one's own"
            )
        if missing or self.alternative_names.minimum or self._requires_identity:
            raise ValueError("self_service: the portal fills in CN and UID, and nothing else")

    @property
    def _requires_identity(self) -> bool:
        return any(one.required for one in self.identity_extensions)


_SHARED: Final = (
    "key_algorithms",
    "subject",
    "alternative_names",
    "identity_extensions",
    "issued_by",
)
"""What the two profiles of a pair agree in."""


def load_profiles(directory: Path | None = None) -> dict[str, CertificateProfile]:
    """Load the built-in profiles, and those of `directory`, which may replace them.

    Raises `Misconfigured` with the file and the field.
    """
    found: dict[str, CertificateProfile] = {}
    built_in = resources.files("ca").joinpath("profile_data")
    for entry in sorted(built_in.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            profile = parse_profile(entry.read_text(encoding="utf-8"), source=entry.name)
            found[profile.name] = profile
    if directory is not None:
        if not directory.is_dir():
            raise Misconfigured(f"ca.profiles_directory is not a directory: {directory}")
        for path in sorted(directory.glob("*.toml")):
            profile = parse_profile(path.read_text(encoding="utf-8"), source=str(path))
            found[profile.name] = profile
    check_pairs(found)
    return found


def parse_profile(text: str, *, source: str) -> CertificateProfile:
    """Parse one profile. Raises `Misconfigured` that names `source` and the field."""
    try:
        return CertificateProfile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{source} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "profile"
        raise Misconfigured(f"{source}: {where}: {first['msg']}") from error


def check_pairs(profiles: Mapping[str, CertificateProfile]) -> None:
    """Check what profiles say about one another. Raises `Misconfigured`."""
    for profile in profiles.values():
        _check_pair(profile, profiles)


def _check_pair(signing: CertificateProfile, profiles: Mapping[str, CertificateProfile]) -> None:
    """Refuse a pair whose certificates could differ in more than key, usage and serial number."""
    if signing.encryption_profile is None:
        return
    where = f"profile {signing.name}: encryption_profile"
    half = profiles.get(signing.encryption_profile)
    if half is None:
        raise Misconfigured(f"{where} names no profile")
    if half.requestable or half.encryption_profile is not None or half.authority:
        raise Misconfigured(f"{where}: {half.name} must not be requestable, or a pair or a CA")
    for field in _SHARED:
        if getattr(signing, field) != getattr(half, field):
            raise Misconfigured(f"{where}: {half.name} differs in {field}")
    possible = {possible_dialects(algorithm) for algorithm in signing.key_algorithms}
    if not set(signing.key_algorithms) <= set(ESCROWED) or len(possible) != 1:
        raise Misconfigured(
            f"{where}: a pair takes sm2 keys, or rsa-2048 and rsa-3072 keys, and not both"
        )
    if not set(signing.envelopes) <= set(*possible):
        known = ", ".join(possible.pop())
        raise Misconfigured(f"profile {signing.name}: envelopes: these keys come as {known}")


def _compile(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern
