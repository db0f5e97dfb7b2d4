"""What goes over the wire about subjects."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ca.subjects import MAX_CONTACTS, Identifier, Particulars
from ca.subjects_store import HIDDEN, IdentifierType, Subject, SubjectKind, SubjectMove

OrganisationId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IdentifierBody(_Wire):
    """What tells a subject from others of its kind."""

    kind: SubjectKind
    identifier_type: IdentifierType
    identifier: Annotated[str, Field(min_length=1, max_length=64, examples=["ZJ-0001"])]

    def read(self) -> Identifier:
        """Return it for the domain."""
        return Identifier(self.kind, self.identifier_type, self.identifier)


class ParticularsBody(_Wire):
    """What may change about a subject."""

    name: Annotated[_Text, Field(examples=["张三"])]
    email: Annotated[str, Field(max_length=254)] | None = None
    contacts: Annotated[dict[_Text, _Text], Field(max_length=MAX_CONTACTS)] = Field(
        default_factory=dict, examples=[{"phone": "0571-00000000"}]
    )

    def particulars(self) -> Particulars:
        """Return them for the domain."""
        return Particulars(self.name, self.email, self.contacts)


class NewSubject(IdentifierBody, ParticularsBody):
    """A subject to keep."""

    organisation: OrganisationId


class SubjectMoveRequest(_Wire):
    """Where a subject belongs from now on."""

    organisation: OrganisationId


class SubjectView(_Wire):
    """A subject as its readers see it."""

    id: str
    kind: SubjectKind
    identifier_type: IdentifierType
    identifier: Annotated[str, Field(examples=["…002X"])]
    """Of an identity card or passport the last four characters only: no more is kept."""
    organisation_id: str
    name: str
    email: str | None
    contacts: dict[str, str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """Show a subject."""
        hidden = subject.identifier_type in HIDDEN
        return cls(
            id=subject.id,
            kind=subject.kind,
            identifier_type=subject.identifier_type,
            identifier=f"…{subject.identifier_tail}" if hidden else subject.identifier,
            organisation_id=subject.organisation,
            name=subject.name,
            email=subject.email,
            contacts=dict(subject.contacts),
            created_at=subject.created_at,
            updated_at=subject.updated_at,
        )


class SubjectList(_Wire):
    """One page of subjects, newest first."""

    items: tuple[SubjectView, ...]
    next_cursor: str | None


class SubjectMoveView(_Wire):
    """One line of where a subject belonged."""

    before: str | None
    after: str
    at: datetime
    actor: str

    @classmethod
    def of(cls, move: SubjectMove) -> Self:
        """Show a move."""
        return cls(before=move.before, after=move.after, at=move.at, actor=move.actor)


class SubjectDetail(_Wire):
    """A subject, and where it belonged."""

    subject: SubjectView
    history: tuple[SubjectMoveView, ...]
