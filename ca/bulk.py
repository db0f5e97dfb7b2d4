"""Bulk requests: a batch, its items, what may happen to them; and their store.

checking → checked → pending → issuing ⇄ paused → done
                   ↘ (needs no approval) ↗      ↘ cancelled
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from ca.serials import SerialNumber
from keystore.algorithms import KeyAlgorithm

NOT_ASKED: Final = "not asked"
"""How the comment of a batch begins when a certificate authority has not seen all rows of it."""
WAITING: Final = f"{NOT_ASKED} yet: rows wait for the word of the certificate authority"
UNASKED: Final = f"{NOT_ASKED}: some rows go on without the word of the certificate authority"


class BatchState(StrEnum):
    """Where a batch is in its life."""

    CHECKING = "checking"
    """Every row is being checked, in the background."""
    CHECKED = "checked"
    """The dry run is over; nothing happens until somebody submits it."""
    PENDING = "pending"
    """Submitted: it waits for an approval, of the batch as a whole."""
    ISSUING = "issuing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    """What was begun is being finished, the rest will not be."""
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    DONE = "done"
    """Every item is issued or failed, and can be fetched."""


ENDED = (BatchState.CANCELLED, BatchState.REJECTED, BatchState.DONE)
WORKING = (BatchState.CHECKING, BatchState.ISSUING, BatchState.CANCELLING)
"""The states in which the background has something to do."""


class ItemState(StrEnum):
    """Where one row is in its life."""

    NEW = "new"
    ASKING = "asking"
    """At a registration authority: nothing is wrong with it there, and the authority is asked."""
    VALID = "valid"
    BAD = "bad"
    """The dry run refused it."""
    STARTED = "started"
    """Its key is durable: the one certificate of its request is being made."""
    AWAITING_PICKUP = "awaiting-pickup"
    """At a registration authority: its subscriber has two codes, and brings the key."""
    ISSUED = "issued"
    FAILED = "failed"
    """Refused after the dry run, such as by a profile that changed."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Batch:
    """One file of people or devices that are to get certificates."""

    id: str
    """32 hex digits."""
    state: BatchState
    profile: str
    issuer: str
    key_algorithm: KeyAlgorithm
    """Of the keys that the service makes for rows without a CSR."""
    label: str
    digest: str
    """SHA-256 of the file, lowercase hex."""
    requester: str
    created_at: datetime
    needs_approval: bool
    expires_at: datetime
    """After this, what was not submitted or not fetched is erased."""
    organisation_id: str | None = None
    recipient: bytes | None = None
    """DER certificate to which the result is encrypted; given when it is submitted."""
    data_key: bytes | None = None
    """What seals the private keys of its items, itself sealed; None once they are erased."""
    decided_by: str | None = None
    decided_at: datetime | None = None
    comment: str | None = None
    """Why it was rejected, or what issuing waits for."""
    finished_at: datetime | None = None
    package_digest: str | None = None
    """SHA-256 of the package that was given out last."""
    delivered_at: datetime | None = None
    """When somebody confirmed to have the package; the private keys are erased since."""
    delivered_to: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One row of a batch."""

    batch_id: str
    row: int
    request_id: str
    """The certificate carries it: at most one is ever made for this row."""
    state: ItemState
    source: str
    """JSON of the cells."""
    content: str | None = None
    """What `ca.bulkrows` made of them; None until checked."""
    spki: bytes | None = None
    """None: the service makes the key when it is this row's turn."""
    subject: str | None = None
    reason: str | None = None
    """Why it is bad or failed."""
    sealed: bytes | None = None
    """The private key that the service made, or its PKCS#12 file, under the batch's key."""


@dataclass(frozen=True, slots=True)
class Live:
    """A certificate that is valid today."""

    subject: str
    spki_fingerprint: str
    serial: SerialNumber
    organisation_id: str | None


class BulkStore(Protocol):
    """Remembers batches. Every method joins the open transaction, or is durable on its own."""

    def add_batch(self, batch: Batch, items: Sequence[Item]) -> None: ...

    def find_batch(self, batch_id: str, *, lock: bool = False) -> Batch | None: ...

    def list_batches(
        self,
        *,
        scope: frozenset[str] | None,
        limit: int,
        state: BatchState | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Batch]:
        """Return the newest first. `scope`: tops of the subtrees to look in; None: everywhere."""
        ...

    def list_expired(self, *, now: datetime, limit: int) -> Sequence[Batch]:
        """Return batches whose time is over and that still hold rows or keys to erase."""
        ...

    def change_batch(self, batch_id: str, expected: Sequence[BatchState], **values: object) -> bool:
        """Change columns, if the batch is in one of these states: a compare-and-set."""
        ...

    def take_batch(
        self, holder: str, *, now: datetime, until: datetime, passing: Sequence[str] = ()
    ) -> Batch | None:
        """Lease the oldest batch with something to do, but for those in `passing`, for one worker.

        Of the cluster, no other has it until the lease ends.
        """
        ...

    def hold_batch(self, batch_id: str, holder: str, *, until: datetime) -> BatchState | None:
        """Renew the lease and lock the row; None: another worker holds it."""
        ...

    def free_batch(self, batch_id: str, holder: str) -> None:
        """Give the lease back."""
        ...

    def count_items(self, batch_id: str) -> Mapping[ItemState, int]: ...

    def list_items(
        self,
        batch_id: str,
        states: Sequence[ItemState],
        *,
        after: int = 0,
        limit: int,
    ) -> Sequence[Item]:
        """Return items in one of these states, by row, from the first row above `after` on."""
        ...

    def change_items(self, items: Sequence[Item]) -> None:
        """Store state, source, content, key, subject, reason and sealed octets of each."""
        ...

    def move_items(self, batch_id: str, rows: Sequence[int], state: ItemState) -> None:
        """Change nothing but the state of some items."""
        ...

    def end_items(self, batch_id: str, expected: ItemState, state: ItemState) -> None:
        """Move all items in one state to another."""
        ...

    def erase(self, batch_id: str, *, rows: bool, at: datetime) -> None:
        """Forget the private keys of a batch; with `rows`, the items, too."""
        ...

    def list_duplicates(self, batch_id: str) -> Mapping[int, int]:
        """Return row → first row with the same subject or key, of the valid items."""
        ...

    def list_live(
        self,
        *,
        issuer: str,
        profile: str,
        subjects: Sequence[str],
        fingerprints: Sequence[str],
        now: datetime,
    ) -> Sequence[Live]:
        """Return valid certificates of these subjects under this profile, or of these keys."""
        ...


class MakesPackages(Protocol):
    """Puts together what a batch gave (`ca.bulkpackage`, `ca.deskbulkpackage`)."""

    def make(self, batch: Batch) -> bytes:
        """Return the package, encrypted to the recipient of the batch."""
        ...
