"""What goes over the wire about organisations and rights."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ca.operations import Operation
from ca.organisations_store import ChangeKind, Level, Organisation, OrganisationChange
from ca.reviews_store import ReviewRule
from ca.rights_store import Grant, Right, Step
from core.control_store import ProposalState

_EXAMPLE = "9f86d081884c7d659a2feaa0c55ad015"
OrganisationId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=[_EXAMPLE])]
_Name = Annotated[str, Field(min_length=1, max_length=200, examples=["某市数据局"])]
_Profile = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", examples=["device"])]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewOrganisation(_Wire):
    """An organisation to add to the tree."""

    parent: OrganisationId
    level: Level
    name: _Name
    code: Annotated[str, Field(max_length=18, examples=["330100"])] | None = None
    """行政区划代码 (6 or 12 digits) or 统一社会信用代码."""


class RenameRequest(_Wire):
    """Another name for an organisation."""

    name: _Name


class MoveRequest(_Wire):
    """Another place for something."""

    parent: OrganisationId


class OrganisationView(_Wire):
    """An organisation as its readers see it."""

    id: OrganisationId
    parent: str | None
    level: Level
    name: str
    code: str | None
    created_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, organisation: Organisation) -> Self:
        """Show an organisation."""
        return cls(
            id=organisation.id,
            parent=organisation.parent,
            level=organisation.level,
            name=organisation.name,
            code=organisation.code,
            created_at=organisation.created_at,
            closed_at=organisation.closed_at,
        )


class OrganisationList(_Wire):
    """One page of organisations, oldest first."""

    items: tuple[OrganisationView, ...]
    next_cursor: str | None


class ChangeView(_Wire):
    """One line of an organisation's history."""

    kind: ChangeKind
    before: str | None
    """A name, or the id of what it stood under."""
    after: str | None
    at: datetime
    actor: str

    @classmethod
    def of(cls, change: OrganisationChange) -> Self:
        """Show a change."""
        return cls(
            kind=change.kind,
            before=change.before,
            after=change.after,
            at=change.at,
            actor=change.actor,
        )


class OrganisationDetail(_Wire):
    """An organisation, what it stands under, and what happened to it."""

    organisation: OrganisationView
    path: tuple[OrganisationView, ...]
    """The root first, itself last."""
    history: tuple[ChangeView, ...]


class GrantRequest(_Wire):
    """A right to give. Without profiles or operations: all of them."""

    operator: Annotated[str, Field(min_length=1, max_length=64, examples=["wang"])]
    organisation: OrganisationId
    profiles: Annotated[frozenset[_Profile], Field(min_length=1, max_length=100)] | None = None
    operations: Annotated[frozenset[Operation], Field(min_length=1)] | None = None
    steps: frozenset[Step] = frozenset()

    def grant(self) -> Grant:
        """Return what is to be allowed."""
        return Grant(self.profiles, self.operations, self.steps)


class RightView(_Wire):
    """A right as its readers see it."""

    id: str
    operator: str
    organisation: OrganisationId
    profiles: tuple[str, ...] | None
    operations: tuple[Operation, ...] | None
    steps: tuple[Step, ...]
    granted_by: str
    granted_at: datetime

    @classmethod
    def of(cls, right: Right) -> Self:
        """Show a right."""
        grant = right.grant
        return cls(
            id=right.id,
            operator=right.operator,
            organisation=right.organisation,
            profiles=None if grant.profiles is None else tuple(sorted(grant.profiles)),
            operations=None if grant.operations is None else tuple(sorted(grant.operations)),
            steps=tuple(sorted(grant.steps)),
            granted_by=right.granted_by,
            granted_at=right.granted_at,
        )


class RightProposed(_Wire):
    """A change of rights that others have to agree to first."""

    proposal: str
    state: ProposalState
    summary: str


class RightList(_Wire):
    """One page of rights, oldest first."""

    items: tuple[RightView, ...]
    next_cursor: str | None


class NewReviewRule(_Wire):
    """Which steps an operation needs in a subtree. Without a profile: for all of them."""

    operation: Operation
    profile: _Profile | None = None
    organisation: OrganisationId
    review: bool
    make: bool = False


class ReviewRuleView(_Wire):
    """A review rule as its readers see it."""

    id: str
    operation: Operation
    profile: str | None
    organisation: OrganisationId
    review: bool
    make: bool
    set_by: str
    set_at: datetime

    @classmethod
    def of(cls, rule: ReviewRule) -> Self:
        """Show a rule."""
        return cls(
            id=rule.id,
            operation=rule.operation,
            profile=rule.profile,
            organisation=rule.organisation,
            review=rule.review.review,
            make=rule.review.make,
            set_by=rule.set_by,
            set_at=rule.set_at,
        )
