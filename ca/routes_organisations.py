"""HTTP for the tree of organisations."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from ca.operations import Operation
from ca.organisations import Organisations
from ca.organisations_store import OrganisationQuery
from ca.rights import Rights
from ca.schemas_organisations import (
    ChangeView,
    MoveRequest,
    NewOrganisation,
    OrganisationDetail,
    OrganisationList,
    OrganisationView,
    RenameRequest,
)
from ca.wire import Cursor, Limit, Sort, Viewer, Writer, problems, require_sight, scope_of
from core.identity import Principal

_Id = Annotated[str | None, Query(max_length=32)]


def add_organisation_routes(
    router: APIRouter, organisations: Organisations, rights: Rights
) -> None:
    """Add ``/organisations`` to `router`."""
    add_organisation_reading(router, organisations, rights)
    _add_changes(router, organisations, rights)


def add_organisation_reading(
    router: APIRouter, organisations: Organisations, rights: Rights
) -> None:
    """Add what shows the tree, and changes nothing."""

    @router.get(
        "/organisations",
        tags=["organisations"],
        summary="List organisations, oldest first",
        description="`parent`: only what stands directly under it; `under`: its whole subtree; "
        "`text`: part of the name, or the code.",
        responses=problems(),
    )
    def list_organisations(
        asking: Viewer,
        *,
        parent: _Id = None,
        under: _Id = None,
        text: Annotated[str | None, Query(max_length=200)] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        sort: Sort = None,
    ) -> OrganisationList:
        query = OrganisationQuery(scope_of(asking, rights), parent, under, text)
        page = organisations.list_organisations(query, cursor=cursor, limit=limit, sort=sort)
        items = tuple(OrganisationView.of(organisation) for organisation in page.items)
        return OrganisationList(items=items, next_cursor=page.next_cursor)

    @router.get(
        "/organisations/{organisation_id}",
        tags=["organisations"],
        summary="Look at an organisation: where it stands and its history",
        responses=problems(404),
    )
    def get_organisation(asking: Viewer, organisation_id: str) -> OrganisationDetail:
        found = organisations.get(organisation_id)
        require_sight(asking, rights, organisation=found.id)
        return OrganisationDetail(
            organisation=OrganisationView.of(found),
            path=tuple(OrganisationView.of(above) for above in organisations.path(found.id)),
            history=tuple(ChangeView.of(change) for change in organisations.history(found.id)),
        )


def _add_changes(router: APIRouter, organisations: Organisations, rights: Rights) -> None:
    answers = problems(404, 409, 503)

    def require(asking: Principal, organisation: str | None) -> None:
        rights.require(
            asking.name, Operation.ORGANISATIONS, None, organisation=organisation, profile=None
        )

    @router.post(
        "/organisations",
        tags=["organisations"],
        summary="Add an organisation below another",
        status_code=HTTPStatus.CREATED,
        responses=answers,
    )
    def create(asking: Writer, body: NewOrganisation) -> OrganisationView:
        require(asking, organisations.get(body.parent).id)
        made = organisations.create(
            body.parent, body.level, body.name, code=body.code, actor=asking.name
        )
        return OrganisationView.of(made)

    @router.post(
        "/organisations/{organisation_id}/rename",
        tags=["organisations"],
        summary="Rename an organisation; its history keeps the old name",
        responses=answers,
    )
    def rename(asking: Writer, organisation_id: str, body: RenameRequest) -> OrganisationView:
        require(asking, organisations.get(organisation_id).id)
        return OrganisationView.of(
            organisations.rename(organisation_id, body.name, actor=asking.name)
        )

    @router.post(
        "/organisations/{organisation_id}/move",
        tags=["organisations"],
        summary="Put an organisation, with all below it, under another",
        description="Takes the right over what it stands under now, and over where it goes.",
        responses=answers,
    )
    def move(asking: Writer, organisation_id: str, body: MoveRequest) -> OrganisationView:
        require(asking, organisations.get(organisation_id).parent)
        require(asking, organisations.get(body.parent).id)
        return OrganisationView.of(
            organisations.move(organisation_id, body.parent, actor=asking.name)
        )

    @router.post(
        "/organisations/{organisation_id}/close",
        tags=["organisations"],
        summary="Close an organisation: nothing new is issued under it",
        description="Takes the right over what it stands under.",
        responses=answers,
    )
    def close(asking: Writer, organisation_id: str) -> OrganisationView:
        require(asking, organisations.get(organisation_id).parent)
        return OrganisationView.of(organisations.close(organisation_id, actor=asking.name))
