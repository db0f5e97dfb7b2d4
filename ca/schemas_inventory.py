"""What a search for certificates is asked with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from ca.serials import from_hex
from ca.store import CertificateQuery, CertificateState


def _digest(value: str) -> str:
    return value.replace(":", "").lower()


_Digest = Annotated[str, Field(max_length=95), AfterValidator(_digest)]
_Name = Annotated[str, Field(max_length=200)]


class SearchCriteria(BaseModel):
    """Every criterion that is given has to be met."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: _Name | None = None
    serial: Annotated[str, Field(max_length=60)] | None = None
    """Hex, of any issuer; colons may be in it."""
    state: CertificateState | None = None
    profile: _Name | None = None
    text: _Name | None = None
    """Words of the subject: Latin ones by their beginning, Chinese by any part."""
    fingerprint: _Digest | None = None
    """SHA-256 over the certificate, hex."""
    spki_fingerprint: _Digest | None = None
    """SHA-256 over the SubjectPublicKeyInfo, hex."""
    requester: _Name | None = None
    organisation_id: _Name | None = None
    subject_id: _Name | None = None
    expires_after: AwareDatetime | None = None
    expires_before: AwareDatetime | None = None
    expires_within_days: Annotated[int, Field(ge=0, le=36600)] | None = None
    cursor: Annotated[str, Field(max_length=40, description="next_cursor of the last page.")] | (
        None
    ) = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    sort: (
        Annotated[
            str,
            Field(
                max_length=32, description="`issued` or `not_after`, `-` before: the last first."
            ),
        ]
        | None
    ) = None
    format: Literal["json", "csv", "xlsx"] = "json"

    def query(self, *, now: datetime, scope: frozenset[str] | None) -> CertificateQuery:
        """Return what the store is asked. Raises `Malformed` for a serial that is not hex."""
        before = self.expires_before
        if self.expires_within_days is not None:
            within = now + timedelta(days=self.expires_within_days)
            before = within if before is None else min(before, within)
        return CertificateQuery(
            scope=scope,
            issuer=self.issuer,
            serial=None if self.serial is None else from_hex(_digest(self.serial)),
            state=self.state,
            profile=self.profile,
            text=self.text,
            fingerprint=self.fingerprint,
            spki_fingerprint=self.spki_fingerprint,
            requester=self.requester,
            organisation_id=self.organisation_id,
            subject_id=self.subject_id,
            expires_after=None
            if self.expires_after is None
            else self.expires_after.astimezone(UTC),
            expires_before=None if before is None else before.astimezone(UTC),
        )
