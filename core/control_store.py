"""What acts under control remember, as a protocol. `core.control_sql` implements it.

Every method joins the open transaction (`core.transaction`) or is durable on its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from core.errors import Malformed, TooLarge

MAX_PARAMETERS: Final = 262_144


class Act(StrEnum):
    """The acts that several people may have to agree to.

    Recoveries of escrowed keys have a life of their own (`keystore.escrow.recovery`).
    """

    CA_CERTIFICATE = "ca-certificate"
    PROFILE_CHANGE = "profile-change"
    ROLE_CHANGE = "role-change"
    MASS_REVOCATION = "mass-revocation"
    RIGHT_CHANGE = "right-change"
    """Giving and taking what operators may do, where."""
    CREDENTIAL = "credential"
    """One new credential for an administrator; under the rule of role changes."""


class ProposalState(StrEnum):
    """Where a proposal is in its life."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    """Everybody needed has agreed; it is being done, or waits to be used."""
    EXECUTED = "executed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"
    """It was approved and could not be done; the outcome says why."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who agreed, and when."""

    officer: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Proposal:
    """The wish to do an act, and what others said to it."""

    id: str
    """32 hex digits."""
    act: Act
    state: ProposalState
    parameters: str
    """Canonical JSON of what exactly is to be done."""
    summary: str
    """What people read before they approve."""
    requester: str
    needed: int
    """How many approvals."""
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    """When it was approved, executed, rejected, expired or failed: the last of them."""
    outcome: str | None = None
    """What came of it, or why nothing did."""
    approvals: tuple[Approval, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Return the parameters, parsed."""
        parsed: dict[str, Any] = json.loads(self.parameters)
        return parsed


def canonical(parameters: Mapping[str, Any]) -> str:
    """Return the one JSON text of these parameters. Raises `TooLarge`, `Malformed`."""
    try:
        text = json.dumps(
            parameters,
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )
    except (TypeError, ValueError) as error:
        raise Malformed("the parameters of a proposal are JSON") from error
    if len(text.encode()) > MAX_PARAMETERS:
        raise TooLarge(f"the parameters of a proposal are longer than {MAX_PARAMETERS} octets")
    return text


def digest_of(act: Act, parameters: str) -> str:
    """Return SHA-256 over an act and its canonical parameters, lowercase hex."""
    return hashlib.sha256(f"{act}\n{parameters}".encode()).hexdigest()


class ProposalStore(Protocol):
    """Remembers every proposal for ever."""

    def add_proposal(self, proposal: Proposal) -> None: ...

    def find_proposal(self, proposal_id: str, *, lock: bool = False) -> Proposal | None:
        """`lock`: nobody else changes it before the open transaction ends."""
        ...

    def find_open(self, act: Act, digest: str) -> Sequence[Proposal]:
        """Return what is proposed or approved with these parameters, oldest first."""
        ...

    def list_proposals(
        self,
        *,
        state: ProposalState | None,
        act: Act | None,
        now: datetime,
        limit: int,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Proposal]:
        """Return the newest first; what has run out at `now` counts as expired.

        `sort`: as `core.listing.Sorting`. `after`: the id of the last one seen.
        """
        ...

    def list_unfinished(self) -> Sequence[Proposal]:
        """Return what is proposed or approved, oldest first."""
        ...

    def add_approval(self, proposal_id: str, officer: str, *, at: datetime) -> None:
        """Raises `Conflict` when this officer approved before."""
        ...

    def change_proposal(
        self,
        proposal_id: str,
        state: ProposalState,
        *,
        expected: tuple[ProposalState, ...],
        at: datetime,
        outcome: str | None,
    ) -> bool:
        """Move to `state` from one of `expected`. Of many callers at once, one gets True."""
        ...
