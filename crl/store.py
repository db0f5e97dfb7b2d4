"""What the revocation service remembers, as protocols. `crl.sqlstore` implements them.

Every method joins the open transaction (`core.transaction`) or is durable on its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ca.distribution import Scope
from crl.entries import Segment
from keystore.algorithms import SignatureAlgorithm
from keystore.keyref import KeyRef


@dataclass(frozen=True, slots=True)
class CRLHead:
    """One CRL without its octets."""

    scope: str
    """`ca.distribution.Scope.name`."""
    number: int
    this_update: datetime
    next_update: datetime
    position: int
    """`StatusSource.revocation_position` that it covers."""
    entries: int
    base: int | None = field(default=None, kw_only=True)
    """Of a delta CRL: the number of the CRL that it adds to."""


@dataclass(frozen=True, slots=True)
class CRLRecord(CRLHead):
    """One signed CRL."""

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
    """Numbers and CRLs of every scope. Complete and delta CRLs share one series of numbers."""

    def reserve_number(self, scope: str, *, at_least: int) -> int:
        """Draw a CRL number above every one drawn before, and not below `at_least`."""
        ...

    def publish(self, record: CRLRecord) -> None:
        """Make `record` the current CRL, or delta CRL, of its scope.

        Raises `Conflict` unless number, position and this_update all go forwards (position and
        this_update may stay): what relying parties see never goes backwards.
        """
        ...

    def find_current(self, scope: str, *, delta: bool = False) -> CRLRecord | None:
        """Return the CRL (or delta CRL) with the highest number."""
        ...

    def find_head(self, scope: str, *, delta: bool = False) -> CRLHead | None:
        """Return the same without its octets, which may be many."""
        ...

    def list_heads(self, issuer: str, *, delta: bool = False) -> Mapping[str, CRLHead]:
        """Return the newest of every scope of an issuer, by name."""
        ...

    def find_base(self, scope: str, *, valid_at: datetime) -> CRLHead | None:
        """Return the oldest complete CRL that somebody may hold as valid at this moment."""
        ...


class PartitioningStore(Protocol):
    """Remembers which distribution points certificates were issued with."""

    def add_partitioning(self, issuer: str, partitions: int, revocation_url: str) -> None:
        """Remember one, if it is not known. To be called before a certificate names it."""
        ...

    def list_partitionings(self, issuer: str) -> Mapping[int, Sequence[str]]:
        """Return the revocation URLs by number of partitions."""
        ...


class SegmentStore(Protocol):
    """Encoded lines of every issuer (`crl.entries`)."""

    def covered(self, issuer: str) -> int:
        """Return the position up to which changes are in the segments."""
        ...

    def cover(self, issuer: str, position: int, *, before: int) -> None:
        """Move `covered`, and lock it until the commit. Raises `Conflict` if it is not `before`."""
        ...

    def find_segments(self, issuer: str, numbers: Collection[int]) -> Mapping[int, Segment]: ...

    def find_ended(self, issuer: str, before: int) -> Sequence[Segment]:
        """Return segments with a certificate that ended before this second since 1970."""
        ...

    def put_segments(self, issuer: str, segments: Sequence[Segment]) -> None: ...

    def last_changes(self, issuer: str, *, after: int) -> Mapping[int, int]:
        """Return the last position of each segment that changed after this one, by number."""
        ...

    def count_lines(self, issuer: str) -> int: ...

    def join_lines(self, scope: Scope) -> tuple[int, bytes]:
        """Return how many lines there are for a scope, and them, one behind the other."""
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
