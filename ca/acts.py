"""What a registration authority (RA) and its certificate authority (CA) say to each other.

The same in both directions of calling: an act goes to the CA, an outcome comes back, and the
branch of the tree goes to the RA. JSON, strict on both sides.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ca.operations import Operation
from ca.organisations_store import Level
from ca.reasons import RevocationReason
from ca.schemas import SubmitRequest

PERFORM: Final = "/ra/v1/acts"
BRANCH: Final = "/ra/v1/branch"
"""At the CA, when the RA calls."""
FETCH: Final = "/ra/v1/outbox"
ANSWER: Final = "/ra/v1/outcomes"
TELL_BRANCH: Final = "/ra/v1/branch"
"""At the RA, when the CA calls."""
MOST_ACTS: Final = 4
"""In one answer: an act may carry a request of 90 000 octets."""
MOST_ORGANISATIONS: Final = 1_000
"""In one body of 262 144 octets, with names of usual length."""

_Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Person = Annotated[str, Field(pattern=r"^[\w.@-]{1,64}$")]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Act(_Wire):
    """One reviewed act of an RA."""

    id: _Id
    """Whatever crashes, an act with this id happens at most once."""
    operation: Operation
    entered_by: _Person
    reviewed_by: _Person
    request: SubmitRequest | None = None
    """For `apply`."""
    issuer: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    serial: Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")] | None = None
    reason: RevocationReason | None = None
    """For `revoke`."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        applies = self.operation is Operation.APPLY
        if applies != (self.request is not None):
            raise ValueError("an application carries a request, and no other act does")
        named = (self.issuer is not None, self.serial is not None)
        if named != (not applies, not applies):
            raise ValueError("an act on a certificate names it, and no other act does")
        if self.operation not in (
            Operation.APPLY,
            Operation.REVOKE,
            Operation.FREEZE,
            Operation.UNFREEZE,
        ):
            raise ValueError(f"{self.operation} is not done through a registration authority")
        if (self.operation is Operation.REVOKE) != (self.reason is not None):
            raise ValueError("a revocation has a reason, and no other act does")
        return self

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the canonical act: what its id stands for."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class OutcomeState(StrEnum):
    """What became of an act."""

    DONE = "done"
    REFUSED = "refused"
    """For good, with a reason: enter another one."""
    WAITING = "waiting"
    """Not yet: ask again."""


class Outcome(_Wire):
    """The CA's answer to an act."""

    id: _Id
    state: OutcomeState
    detail: Annotated[str, Field(max_length=2_000)] | None = None
    issuer: Annotated[str, Field(max_length=64)] | None = None
    serial: Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")] | None = None
    chain: Annotated[str, Field(max_length=100_000)] | None = None
    """PEM: the certificate and those above it, without the root."""
    encryption_chain: Annotated[str, Field(max_length=100_000)] | None = None
    """Of a pair: the other certificate."""
    enveloped_key: Annotated[str, Field(max_length=20_000)] | None = None
    """Of a pair: base64."""


class Place(_Wire):
    """One organisation of the branch."""

    id: _Id
    parent: _Id | None
    """None: the top of the branch."""
    level: Level
    name: Annotated[str, Field(min_length=1, max_length=200)]
    code: Annotated[str, Field(max_length=18)] | None
    closed: bool


class Branch(_Wire):
    """The part of the tree that is the RA's, parents first."""

    places: Annotated[tuple[Place, ...], Field(min_length=1, max_length=MOST_ORGANISATIONS)]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the canonical branch."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


_Known = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


class BranchCall(_Wire):
    """Ask for the branch, unless it is the known one."""

    known: _Known


class Outbox(_Wire):
    """Acts that wait for the CA, and which branch the RA follows since it was started."""

    acts: Annotated[tuple[Act, ...], Field(max_length=MOST_ACTS)]
    known: _Known


class Nothing(_Wire):
    """A call that says nothing."""
