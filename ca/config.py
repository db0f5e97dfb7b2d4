"""What the authority needs to know before it starts."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ca.distribution import MAX_PARTITIONS, is_partitioning
from ca.lint import LintMode, is_acceptable

_URL = re.compile(r"http://[A-Za-z0-9.\-]+(?::\d{1,5})?(?:/[A-Za-z0-9._/\-]*)?")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class PickupConfig(BaseModel):
    """Settings under ``[ca.pickup]``: two codes for subscribers who enrol by themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: int = Field(default=168, ge=1, le=2160)
    """How long a reference number and an authorisation code work."""
    failures_before_lock: int = Field(default=5, ge=1, le=20)
    """So many wrong codes lock a pick-up until its codes are sent again."""


class CAConfig(BaseModel):
    """Settings under ``[ca]``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revocation_url: str = Field(
        description="Where relying parties find OCSP, CRLs and CA certificates. It is written "
        "into certificates. Plain http: a relying party that needs revocation to "
        "trust https would go in circles (RFC 5280, 8).",
    )
    profiles_directory: Path | None = Field(
        default=None,
        description="Directory of *.toml certificate profiles; they add to the built-in ones.",
    )
    accept_empty_sm2_id: bool = Field(
        default=False,
        description="Accept a CSR that OpenSSL before 4.0 signed with the empty SM2 identifier.",
    )
    renew_issuing_days: int | None = Field(
        default=None,
        ge=1,
        le=3_660,
        description="An issuing CA under a root of ours gets a new certificate for the same key "
        "this many days before its own ends. Not together with approvals for CA certificates. "
        "None: never by itself; `yinxin health-check` warns.",
    )
    separate_approver: bool = Field(
        default=False,
        description="Refuse that a requester approves the own request. False by default, because "
        "a first start creates only one business administrator.",
    )
    identifier_key: str = Field(
        default="software:object=identifier-digests",
        description="The SM2 key that opens the key under which numbers of identity cards and "
        "passports are digested. Made with the first of them; lost, they cannot be recognised.",
    )
    separate_steps: bool = Field(
        default=True,
        description="Refuse that one operator holds entry and review, or review and make, of the "
        "same organisation and profile. The first business administrator holds all of them.",
    )
    blocked_keys: tuple[str, ...] = Field(
        default=(),
        description="SHA-256 of DER SubjectPublicKeyInfo values, lowercase hex, that are refused.",
    )

    crl_partitions: dict[str, int] = Field(
        default_factory=dict,
        description="Into how many CRLs the certificates of an issuer are divided, by its name: a "
        "power of two up to 4096. It holds for certificates issued from then on, those before keep "
        "their distribution point. An issuer not named here has one full CRL.",
    )
    pickup: PickupConfig = PickupConfig()
    lint: LintMode = Field(
        default=LintMode.SHAPE,
        description="Which certificates pkilint sees before they are signed: the first of each "
        "shape, or every one. Our own rules see every one (docs/lint.md).",
    )
    lint_accepted: tuple[str, ...] = Field(
        default=(),
        description="Findings that do not stop a signature: pkilint's codes, or warnings of "
        "`yinxin lint --rules`.",
    )

    @field_validator("lint_accepted")
    @classmethod
    def _acceptable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if not is_acceptable(item):
                raise ValueError(
                    f"{item!r} is neither a code of pkilint nor one of our rules with severity "
                    "warning (yinxin lint --rules)"
                )
        return value

    @field_validator("revocation_url")
    @classmethod
    def _plain_http(cls, value: str) -> str:
        if _URL.fullmatch(value) is None:
            raise ValueError(f"revocation_url must be a plain http URL, not {value!r}")
        return value.rstrip("/")

    @field_validator("crl_partitions")
    @classmethod
    def _partitionings(cls, value: dict[str, int]) -> dict[str, int]:
        for issuer, partitions in value.items():
            if not is_partitioning(partitions):
                raise ValueError(
                    f"crl_partitions of {issuer} must be a power of two up to {MAX_PARTITIONS}, "
                    f"not {partitions}"
                )
        return value

    @field_validator("blocked_keys")
    @classmethod
    def _fingerprints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if _FINGERPRINT.fullmatch(item) is None:
                raise ValueError(f"{item!r} is not a SHA-256 in lowercase hex")
        return value
