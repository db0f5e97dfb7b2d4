"""Wire models of bulk requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ca.bulk import Batch, BatchState, Item, ItemState


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SubmitBatch(_Wire):
    """Who receives the result."""

    recipient: Annotated[
        str,
        Field(max_length=16_384, description="PEM of an RSA or SM2 certificate for encryption."),
    ]


class RejectBatch(_Wire):
    """Why a batch is rejected."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class ConfirmBatch(_Wire):
    """Which package arrived."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BatchView(_Wire):
    """A batch as its operators see it."""

    id: str
    state: BatchState
    profile: str
    issuer: str
    key_algorithm: str
    label: str
    file_sha256: str
    organisation: str | None
    needs_approval: bool
    rows: int
    counts: dict[ItemState, int]
    requester: str
    created_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    finished_at: datetime | None
    delivered_at: datetime | None
    delivered_to: str | None

    @classmethod
    def of(cls, batch: Batch, counts: Mapping[ItemState, int]) -> Self:
        """Show a batch."""
        return cls(
            id=batch.id,
            state=batch.state,
            profile=batch.profile,
            issuer=batch.issuer,
            key_algorithm=batch.key_algorithm,
            label=batch.label,
            file_sha256=batch.digest,
            organisation=batch.organisation_id,
            needs_approval=batch.needs_approval,
            rows=sum(counts.values()),
            counts=dict(counts),
            requester=batch.requester,
            created_at=batch.created_at,
            expires_at=batch.expires_at,
            decided_by=batch.decided_by,
            decided_at=batch.decided_at,
            comment=batch.comment,
            finished_at=batch.finished_at,
            delivered_at=batch.delivered_at,
            delivered_to=batch.delivered_to,
        )


class ItemView(_Wire):
    """One row of a batch."""

    row: int
    state: ItemState
    subject: str | None
    reason: str | None
    request_id: str

    @classmethod
    def of(cls, item: Item) -> Self:
        """Show an item."""
        return cls(
            row=item.row,
            state=item.state,
            subject=item.subject,
            reason=item.reason,
            request_id=item.request_id,
        )
