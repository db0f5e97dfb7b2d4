"""What a registration authority (RA) and its certificate authority (CA) say to each other.

The same in both directions of calling: an act goes to the CA, an outcome comes back, and the
branch of the tree goes to the RA; rows of a dry run go to the CA, and what it would refuse comes
back. JSON, strict on both sides.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ca.operations import ISSUING, REPLACING, Operation
from ca.organisations_store import Level
from ca.reasons import RevocationReason
from ca.schemas import SubmitRequest
from keystore.dialects import Dialect

PERFORM: Final = "/ra/v1/acts"
BRANCH: Final = "/ra/v1/branch"
CHECK: Final = "/ra/v1/checks"
"""At the CA, when the RA calls."""
FETCH: Final = "/ra/v1/outbox"
ANSWER: Final = "/ra/v1/outcomes"
TELL_BRANCH: Final = "/ra/v1/branch"
QUESTIONS: Final = "/ra/v1/questions"
VERDICTS: Final = "/ra/v1/verdicts"
"""At the RA, when the CA calls."""
MOST_ACTS: Final = 4
"""In one answer: an act may carry a request of 90 000 octets."""
MOST_ORGANISATIONS: Final = 1_000
"""In one body of 262 144 octets, with names of usual length."""
MOST_QUESTIONS: Final = 100
"""In one body, with as many reasons in the answer: of the usual size, half a second of a CA."""
MOST_WORDS: Final = 500
"""Characters of a verdict's reason."""

_WITH_KEY: Final = (Operation.REKEY, Operation.REISSUE)
_WITH_REASON: Final = (Operation.REVOKE, Operation.REISSUE)
_CARRIED: Final = (*ISSUING, Operation.REVOKE, Operation.FREEZE, Operation.UNFREEZE)
_ENVELOPE: Final = {"format", "sealed_password"}
_LATER: Final = ("csr", "validity_days")

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
    """Of the certificate that is acted upon, or replaced."""
    reason: RevocationReason | None = None
    """For `revoke`, and for `reissue`: of the old certificate."""
    csr: Annotated[str, Field(max_length=90_000)] | None = None
    """For `rekey` and `reissue`: PKCS#10 of the new key."""
    validity_days: Annotated[int, Field(ge=1, le=36600)] | None = None
    """For what replaces a certificate."""
    format: Dialect | None = None
    """How the encryption key of a pair is wanted, beside the envelope that it comes with."""
    sealed_password: Annotated[str, Field(max_length=1000)] | None = None
    """Of a PKCS#12 file: base64, sealed to the key management centre."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        operation = self.operation
        if operation not in _CARRIED:
            raise ValueError(f"{operation} is not done through a registration authority")
        applies = operation is Operation.APPLY
        if applies != (self.request is not None):
            raise ValueError("an application carries a request, and no other act does")
        if (self.issuer is not None, self.serial is not None) != (not applies, not applies):
            raise ValueError("an act on a certificate names it, and no other act does")
        if (operation in _WITH_REASON) != (self.reason is not None):
            raise ValueError("a revocation or a re-issue has a reason, and no other act does")
        if (operation in _WITH_KEY) != (self.csr is not None):
            raise ValueError("a re-key or a re-issue carries a CSR, and no other act does")
        if self.validity_days is not None and operation not in REPLACING:
            raise ValueError("only what replaces a certificate says for how long")
        if self.format is not None and operation not in ISSUING:
            raise ValueError("only what gives a certificate gives a key")
        return self

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the canonical act: what its id stands for."""
        # Without how the key is wanted, which may be asked for later; and without what an
        # earlier release did not have, whose acts may be under way.
        left_out = _ENVELOPE | {name for name in _LATER if getattr(self, name) is None}
        return hashlib.sha256(self.model_dump_json(exclude=left_out).encode()).hexdigest()


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
    request: _Id | None = None
    """The CA's own name for what has given the certificate: passwords are sealed for it."""
    issuer: Annotated[str, Field(max_length=64)] | None = None
    serial: Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")] | None = None
    chain: Annotated[str, Field(max_length=100_000)] | None = None
    """PEM: the certificate and those above it, without the root."""
    encryption_chain: Annotated[str, Field(max_length=100_000)] | None = None
    """Of a pair: the other certificate."""
    enveloped_key: Annotated[str, Field(max_length=20_000)] | None = None
    """Of a pair: base64."""
    envelopes: tuple[Dialect, ...] = ()
    """Of a pair: in which formats its key can be had."""
    format: Dialect | None = None
    """In which the key was wanted."""
    envelope: Annotated[str, Field(max_length=60_000)] | None = None
    """The key in that format, base64; without it `detail` says why not."""
    transport_key: Annotated[str, Field(max_length=1_000)] | None = None
    """PEM: what passwords of PKCS#12 files are sealed to, where that is one of `envelopes`."""


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


class Question(_Wire):
    """One row of a dry run: whether this would be issued."""

    id: _Id
    request: SubmitRequest


class Questions(_Wire):
    """Some rows that the CA has not seen yet."""

    rows: Annotated[tuple[Question, ...], Field(max_length=MOST_QUESTIONS)]


class Verdict(_Wire):
    """What the CA would say to a row."""

    id: _Id
    reason: Annotated[str, Field(max_length=MOST_WORDS)] | None = None
    """Why it would be refused; None: it would be issued."""


class Verdicts(_Wire):
    """What the CA says to the rows that it could look at."""

    rows: Annotated[tuple[Verdict, ...], Field(max_length=MOST_QUESTIONS)]
    not_asked: Annotated[str, Field(max_length=MOST_WORDS)] | None = None
    """Why the others have to be asked about again."""


class Nothing(_Wire):
    """A call that says nothing."""
