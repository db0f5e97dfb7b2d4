"""What revoking many certificates remembers: what was chosen, how far it is; and its store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, Self

from ca.reasons import RevocationReason
from core.errors import Malformed

MAX_SERIALS = 5_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which certificates; what is None does not matter, and everything given must hold.

    CA certificates, delegated OCSP responders and certificates that have expired are never in it.
    """

    issuer: str | None = None
    profile: str | None = None
    organisation: str | None = None
    """The top of a subtree."""
    issued_after: datetime | None = None
    issued_before: datetime | None = None
    serials: tuple[str, ...] = ()
    """Lowercase hex, with `issuer`."""
    spki_fingerprint: str | None = None
    """Everything that was issued for one public key; the key is blocked with it."""

    def __post_init__(self) -> None:
        if not any(asdict(self).values()):
            raise Malformed("say which certificates: everything is never revoked at once")
        if self.serials and self.issuer is None:
            raise Malformed("serial numbers are those of one issuer: name it")
        if len(self.serials) > MAX_SERIALS:
            raise Malformed(f"at most {MAX_SERIALS} serial numbers at once")

    def words(self) -> str:
        """Return what is chosen in one line, for people."""
        parts = []
        for name, value in asdict(self).items():
            if name == "serials" and value:
                parts.append(f"{len(value)} serial numbers")
            elif value is not None and name != "serials":
                parts.append(f"{name.replace('_', ' ')} {value}")
        return ", ".join(parts)

    def document(self) -> dict[str, Any]:
        """Return this as JSON, without what is None."""
        found = {name: value for name, value in asdict(self).items() if value}
        for name in ("issued_after", "issued_before"):
            if name in found:
                found[name] = found[name].isoformat()
        return found | ({"serials": list(self.serials)} if self.serials else {})

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        given = dict(document)
        for name in ("issued_after", "issued_before"):
            if name in given:
                given[name] = datetime.fromisoformat(given[name])
        return cls(**given | {"serials": tuple(given.get("serials", ()))})


@dataclass(frozen=True, slots=True)
class Chosen:
    """One certificate that a selection finds."""

    position: int
    """Grows with every certificate that was ever reserved."""
    issuer: str
    serial: int
    subject: str
    profile: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a selection would revoke now."""

    total: int
    counts: Mapping[tuple[str, str], int]
    """By issuer and profile."""
    first: Sequence[Chosen]


class MassState(StrEnum):
    """Whether it goes on."""

    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class MassRevocation:
    """One revocation of many certificates, and how far it is."""

    id: str
    state: MassState
    selection: Selection
    reason: RevocationReason
    actor: str
    created_at: datetime
    expected: int
    """How many there were when it began."""
    position: int = 0
    revoked: int = 0
    refused: int = 0
    """Those that another reason or their kind forbids; the log names them."""
    finished_at: datetime | None = None


class MassRevocationStore(Protocol):
    """Remembers mass revocations for ever. Every method joins the open transaction."""

    def preview(self, selection: Selection, *, now: datetime, first: int) -> Preview: ...

    def choose(
        self, selection: Selection, *, now: datetime, after: int, limit: int
    ) -> Sequence[Chosen]:
        """Return certificates behind the position `after`, in order."""
        ...

    def add_mass_revocation(self, job: MassRevocation) -> None: ...

    def find_mass_revocation(self, job_id: str, *, lock: bool = False) -> MassRevocation | None: ...

    def list_mass_revocations(
        self,
        *,
        state: MassState | None = None,
        limit: int,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[MassRevocation]:
        """Return the newest first, or as `sort` says, behind the one with the id `after`."""
        ...

    def move_mass_revocation(self, job: MassRevocation) -> None:
        """Remember state, position, counts and end."""
        ...
