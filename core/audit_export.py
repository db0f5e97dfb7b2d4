"""Taking the audit chain off the box, as it grows: rows and checkpoints, to every target.

What a target has is remembered in the database, so that a restart goes on where it was. A target
that cannot be reached stops nothing else: it is tried again, and the service says that it lags.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from core.audit_chain import Checkpoint, CheckpointSigner, StoredEvent
from core.errors import TrustError, Unavailable
from core.observe import AUDIT_EXPORT_FAILURES, AUDIT_EXPORT_FAULTY, AUDIT_EXPORT_LAG

log = logging.getLogger(__name__)

BATCH: Final = 1000
_BATCHES_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One row or checkpoint, on its way out."""

    of: StoredEvent | Checkpoint
    text: str
    """JSON in ASCII, without a line feed."""


class AuditSource(Protocol):
    """What is exported, and how far each target is."""

    def head(self) -> tuple[int, bytes] | None: ...

    def checkpoint(self, signer: CheckpointSigner, *, rows: int, seconds: int) -> int | None: ...

    def list_events(self, *, after: int, limit: int) -> list[StoredEvent]: ...

    def list_checkpoints(self, *, after: int, limit: int) -> list[Checkpoint]: ...

    def find_cursor(self, target: str) -> tuple[int, int]: ...

    def move_cursor(self, target: str, sequence: int, checkpoint: int) -> None: ...


class AuditTarget(Protocol):
    """A place off the box."""

    @property
    def name(self) -> str: ...

    def resume(self, sequence: int) -> int:
        """Be ready to write; return the row after which to go on, given what the cursor says.

        Raises `Unavailable`.
        """
        ...

    def write(self, lines: Sequence[Line]) -> None:
        """Hand them over. Raises `Unavailable`; then they are handed over again later."""
        ...

    def close(self) -> None: ...


class AuditExporter:
    """Signs checkpoints when they are due, and brings every target up to date."""

    def __init__(
        self,
        source: AuditSource,
        targets: Sequence[AuditTarget],
        signer: CheckpointSigner,
        *,
        rows: int,
        seconds: int,
    ) -> None:
        self._source = source
        self._targets = tuple(targets)
        self._signer = signer
        self._rows = rows
        self._seconds = seconds
        self._faults: dict[str, str] = {}

    @property
    def targets(self) -> Sequence[str]:
        """Name where it goes."""
        return [target.name for target in self._targets]

    @property
    def faults(self) -> Mapping[str, str]:
        """Say which targets cannot be written, and why."""
        return dict(self._faults)

    def run(self) -> None:
        """Do what is due. Never raises for a target; raises `Unavailable` without a database."""
        self._source.checkpoint(self._signer, rows=self._rows, seconds=self._seconds)
        for target in self._targets:
            try:
                self._export(target)
                self._faults.pop(target.name, None)
                AUDIT_EXPORT_FAULTY.labels(target.name).set(0)
            except TrustError as error:
                AUDIT_EXPORT_FAILURES.labels(target.name).inc()
                AUDIT_EXPORT_FAULTY.labels(target.name).set(1)
                if self._faults.get(target.name) != str(error):
                    log.exception("the audit log is not exported", extra={"target": target.name})
                self._faults[target.name] = str(error)

    def finish(self) -> None:
        """Sign and export once more before the end, so that what happened last is covered too."""
        try:
            self._source.checkpoint(self._signer, rows=1, seconds=0)
            self.run()
        except TrustError:
            log.exception("the last checkpoint of the audit log could not be made")

    def close(self) -> None:
        """Close every target."""
        for target in self._targets:
            target.close()

    def _export(self, target: AuditTarget) -> None:
        head = self._source.head()
        if head is None:
            raise Unavailable("the head of the audit chain is missing; see audit verify")
        known, checkpoint = self._source.find_cursor(target.name)
        AUDIT_EXPORT_LAG.labels(target.name).set(head[0] - known)
        sequence = target.resume(known)
        if sequence > head[0]:
            raise Unavailable(
                f"{target.name} has row {sequence} and the database ends at row {head[0]}: rows "
                "were removed, or an older database was restored (docs/audit.md)"
            )
        if sequence < known:
            checkpoint = min(checkpoint, sequence)
        for _ in range(_BATCHES_AT_ONCE):
            events = self._source.list_events(after=sequence, limit=BATCH)
            sequence = events[-1].sequence if events else sequence
            signed = [
                one
                for one in self._source.list_checkpoints(after=checkpoint, limit=BATCH)
                if one.sequence <= sequence
            ]
            if not events and not signed:
                return
            rows: list[StoredEvent | Checkpoint] = [*events, *signed]
            target.write([Line(one, encode(one)) for one in rows])
            checkpoint = signed[-1].sequence if signed else checkpoint
            self._source.move_cursor(target.name, sequence, checkpoint)
            AUDIT_EXPORT_LAG.labels(target.name).set(max(0, head[0] - sequence))


def encode(one: StoredEvent | Checkpoint) -> str:
    """Return the JSON of a row or a checkpoint, as `decode` reads it."""
    body: dict[str, str | int] = {"sequence": one.sequence, "at": one.at.isoformat()}
    if isinstance(one, Checkpoint):
        body |= {"hash": one.hash.hex(), "checkpoint": one.signature.hex()}
    else:
        body |= {"action": one.action, "actor": one.actor, "detail": one.detail}
        body |= {"previous": one.previous.hex(), "hash": one.hash.hex()}
    return json.dumps(body, separators=(",", ":"))
