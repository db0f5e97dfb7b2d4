"""The audit chain itself: how a row is hashed, what a checkpoint signs, what is wrong with a row.

Row n holds ``hash(n) = SM3(canonical JSON of [sequence, at, action, actor, detail, previous])``,
where ``previous`` is ``hash(n-1)``. A checkpoint is a signature over sequence and hash: whoever
rewrites the whole chain, head included, still cannot make one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from core.errors import InvalidSignature

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

GENESIS: Final = bytes(32)
"""What the first row has as its previous hash."""


class CheckpointVerifier(Protocol):
    """The public half of the audit key."""

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises `InvalidSignature`."""
        ...


class CheckpointSigner(CheckpointVerifier, Protocol):
    """The audit key."""

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of the chain."""

    sequence: int
    at: datetime
    action: str
    actor: str
    detail: str
    """Canonical JSON."""
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signature over the chain up to one row."""

    sequence: int
    at: datetime
    hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found."""

    rows: int
    checkpoints: int
    fault: str | None
    """None: the chain is whole. Otherwise one sentence that names the first bad row."""
    first_bad: int | None


def event_hash(event: StoredEvent) -> bytes:
    """Return SM3 over the canonical form of one event; its own `hash` is not part of it."""
    body = _encode(
        [
            event.sequence,
            event.at.isoformat(),
            event.action,
            event.actor,
            event.detail,
            event.previous.hex(),
        ]
    )
    return hashlib.new("sm3", body.encode()).digest()


def checkpoint_message(sequence: int, digest: bytes) -> bytes:
    """Return the octets that a checkpoint signs."""
    return b"yinxin audit checkpoint\x00" + sequence.to_bytes(8, "big") + digest


def walk(
    events: Iterable[StoredEvent],
    checkpoints: Mapping[int, Checkpoint],
    verifier: CheckpointVerifier,
    *,
    after: int = 0,
    previous: bytes = GENESIS,
) -> tuple[Verdict, bytes]:
    """Check that `events` follow row `after`, whose hash is `previous`, one by one.

    Returns the verdict and the hash of the last good row. `Verdict.rows` is its sequence.
    """
    last = after
    for event in events:
        fault = _fault(event, last + 1, previous)
        if fault is None and event.sequence in checkpoints:
            fault = _checkpoint_fault(event, checkpoints[event.sequence], verifier)
        if fault is not None:
            return Verdict(last, len(checkpoints), fault, last + 1), previous
        last, previous = event.sequence, event.hash
    return Verdict(last, len(checkpoints), None, None), previous


def _fault(stored: StoredEvent, expected: int, previous: bytes) -> str | None:
    if stored.sequence < expected:
        return f"row {stored.sequence} comes after row {expected - 1}: the order was changed"
    if stored.sequence > expected:
        return f"row {expected} is missing: the next one is row {stored.sequence}"
    if stored.previous != previous:
        return f"row {expected} does not follow row {expected - 1}: its previous hash differs"
    if event_hash(stored) != stored.hash:
        return f"row {expected} was changed: its hash does not match its content"
    return None


def _checkpoint_fault(
    stored: StoredEvent, checkpoint: Checkpoint, verifier: CheckpointVerifier
) -> str | None:
    if checkpoint.hash != stored.hash:
        return f"row {stored.sequence} was rewritten: the signed checkpoint names another hash"
    try:
        verifier.verify(checkpoint_message(stored.sequence, stored.hash), checkpoint.signature)
    except InvalidSignature:
        return f"the checkpoint at row {stored.sequence} has no valid signature"
    return None
