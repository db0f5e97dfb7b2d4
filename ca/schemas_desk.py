"""What goes over the wire of a registration authority's desk."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from ca.acts import Outcome
from ca.desk_bodies import Asked, asked_of, csr_of, target_of
from ca.desk_store import DeskRecord, DeskState
from ca.operations import Operation
from ca.reasons import RevocationReason
from ca.schemas import CertificateReference, CodesView, NameAttribute


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeskIssuer(_Wire):
    """An issuer that operators may name."""

    name: str


class AskedView(_Wire):
    """What an act asks for: entered, or of the CSR where nothing was."""

    issuer: str | None
    subject: tuple[NameAttribute, ...]
    alternative_names: tuple[str, ...]
    validity_days: int | None
    reason: RevocationReason | None

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """Show it."""
        return cls(
            issuer=asked.issuer,
            subject=tuple(NameAttribute(type=name, value=value) for name, value in asked.subject),
            alternative_names=asked.alternative_names,
            validity_days=asked.validity_days,
            reason=asked.reason,
        )


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
    """Of what is asked for or acted upon, then of the certificate that was given."""
    not_after: datetime | None
    target: CertificateReference | None
    """The certificate that is replaced."""
    asked: AskedView | None
    """Where one act is looked at."""
    codes: CodesView | None
    """In the answer to the step that made them, and nowhere else."""

    @classmethod
    def of(cls, record: DeskRecord, *, listed: bool = False) -> Self:
        """Show a record; `listed`: in a list, without what has to be read out of it."""
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
            asked=None if listed else AskedView.of(asked_of(record)),
            codes=None
            if codes is None
            else CodesView(reference=codes.reference, code=codes.code, expires_at=codes.expires_at),
        )


class DeskList(_Wire):
    """One page of acts, newest first."""

    items: tuple[DeskView, ...]
    next_cursor: str | None
