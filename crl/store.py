"""What the revocation service remembers, as protocols. `crl.sqlstore` implements them.

Every method joins the open transaction (`core.transaction`) or is durable on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from keystore.algorithms import SignatureAlgorithm
from keystore.keyref import KeyRef


@dataclass(frozen=True, slots=True)
class CRLRecord:
    """One signed CRL."""

    issuer: str
    """The issuer's name in this service."""
    number: int
    this_update: datetime
    next_update: datetime
    position: int
    """`StatusSource.revocation_position` that it covers."""
    entries: int
    der: bytes


@dataclass(frozen=True, slots=True)
class DelegateRecord:
    """The certificate of one delegated responder, and where its key is."""

    issuer: str
    serial: int
    key: KeyRef
    algorithm: SignatureAlgorithm
    certificate: bytes
    """DER."""
    not_before: datetime
    not_after: datetime


class CRLStore(Protocol):
    """Numbers and CRLs of every issuer."""

    def reserve_number(self, issuer: str, *, at_least: int) -> int:
        """Draw a CRL number above every one drawn before, and not below `at_least`."""
        ...

    def publish(self, record: CRLRecord) -> None:
        """Make `record` the current CRL of its issuer.

        Raises `Conflict` unless number, position and this_update all go forwards (position and
        this_update may stay): what relying parties see never goes backwards.
        """
        ...

    def find_current(self, issuer: str) -> CRLRecord | None:
        """Return the CRL with the highest number."""
        ...


class DelegateStore(Protocol):
    """Delegated responders of every issuer."""

    def add_delegate(self, record: DelegateRecord) -> None: ...

    def list_delegates(self, issuer: str) -> Sequence[DelegateRecord]:
        """Return those of one issuer whose keys are there, the longest valid first."""
        ...

    def list_ended(self, before: datetime) -> Sequence[DelegateRecord]:
        """Return those of any issuer that ended before this moment and whose keys are there."""
        ...

    def mark_destroyed(self, record: DelegateRecord, *, at: datetime) -> None:
        """Note that the key of this one is gone."""
        ...
