"""What goes over the wire of a registration authority's desk."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from ca.acts import Outcome
from ca.desk_bodies import csr_of, target_of
from ca.desk_store import DeskRecord, DeskState
from ca.operations import Operation
from ca.organisations_store import Level, Organisation
from ca.schemas import CertificateReference, CodesView


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeskView(_Wire):
    """An act as its readers see it."""

    id: str
    state: DeskState
    operation: Operation
    profile: str | None
    organisation_id: str | None
    requester: str
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    """Why it was rejected or refused, or what it waits for."""
    answered_at: datetime | None
    certificate: CertificateReference | None
    chain: str | None
    """PEM: the certificate that was given, and those above it."""
    encryption_chain: str | None
    enveloped_key: str | None
    """Of a pair: SM2EnvelopedKey, base64."""
    csr: str | None
    subject: str | None
    """Of the certificate that was given."""
    not_after: datetime | None
    target: CertificateReference | None
    """The certificate that is replaced."""
    codes: CodesView | None
    """In the answer to the step that made them, and nowhere else."""

    @classmethod
    def of(cls, record: DeskRecord) -> Self:
        """Show a record."""
        outcome = None if record.outcome is None else Outcome.model_validate_json(record.outcome)
        reference = None
        if record.issuer is not None and record.serial is not None:
            reference = CertificateReference(issuer=record.issuer, serial=record.serial)
        replaced, codes = target_of(record), record.codes
        return cls(
            id=record.id,
            state=record.state,
            operation=record.operation,
            profile=record.profile,
            organisation_id=record.organisation_id,
            requester=record.requester,
            created_at=record.created_at,
            decided_by=record.decided_by,
            decided_at=record.decided_at,
            comment=record.comment,
            answered_at=record.answered_at,
            certificate=reference,
            chain=None if outcome is None else outcome.chain,
            encryption_chain=None if outcome is None else outcome.encryption_chain,
            enveloped_key=None if outcome is None else outcome.enveloped_key,
            csr=csr_of(record),
            subject=record.subject,
            not_after=record.not_after,
            target=None
            if replaced is None
            else CertificateReference(issuer=replaced[0], serial=replaced[1]),
            codes=None
            if codes is None
            else CodesView(reference=codes.reference, code=codes.code, expires_at=codes.expires_at),
        )


class DeskList(_Wire):
    """One page of acts, newest first."""

    items: tuple[DeskView, ...]
    next_cursor: str | None


class BranchPlace(_Wire):
    """One organisation of the branch."""

    id: str
    parent: str | None
    level: Level
    name: str
    code: str | None
    closed_at: datetime | None

    @classmethod
    def of(cls, organisation: Organisation) -> Self:
        """Show an organisation."""
        return cls(
            id=organisation.id,
            parent=organisation.parent,
            level=organisation.level,
            name=organisation.name,
            code=organisation.code,
            closed_at=organisation.closed_at,
        )


class BranchList(_Wire):
    """One page of organisations, oldest first."""

    items: tuple[BranchPlace, ...]
    next_cursor: str | None
