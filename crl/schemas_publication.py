"""The state of publishing as its readers see it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from ca.serials import to_hex
from crl.publication import Fault, PublicationState


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FaultView(_Wire):
    """A certificate that the directory did not take."""

    issuer: str
    serial: str
    subject: str
    error: str
    attempts: int
    due_at: datetime

    @classmethod
    def of(cls, fault: Fault) -> Self:
        """Show a fault."""
        record = fault.certificate
        return cls(
            issuer=record.issuer,
            serial=to_hex(record.serial),
            subject=record.subject,
            error=fault.error,
            attempts=fault.attempts,
            due_at=fault.due_at,
        )


class PublicationView(_Wire):
    """How far the directory is behind."""

    configured: bool
    waiting: int
    error: str | None
    faults: tuple[FaultView, ...]

    @classmethod
    def of(cls, state: PublicationState | None) -> Self:
        """Show a state; None: nothing is published."""
        if state is None:
            return cls(configured=False, waiting=0, error=None, faults=())
        faults = tuple(FaultView.of(fault) for fault in state.faults)
        return cls(configured=True, waiting=state.waiting, error=state.error, faults=faults)


class Retried(_Wire):
    """How many certificates are tried again."""

    certificates: int
