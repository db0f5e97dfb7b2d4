"""HTTP for subjects: keep, find, update, move, list."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from ca.operations import Operation
from ca.rights import Rights
from ca.rights_store import Step
from ca.schemas_subjects import (
    IdentifierBody,
    NewSubject,
    ParticularsBody,
    SubjectDetail,
    SubjectList,
    SubjectMoveRequest,
    SubjectMoveView,
    SubjectView,
)
from ca.subjects import Subjects
from ca.subjects_store import SubjectKind, SubjectQuery
from ca.wire import Cursor, Limit, Reader, Sort, Writer, problems, require_sight, scope_of
from core.errors import Forbidden, NotFound
from core.identity import Principal


def add_subject_routes(router: APIRouter, subjects: Subjects, rights: Rights) -> None:
    """Add ``/subjects`` to `router`."""

    @router.get(
        "/subjects",
        tags=["subjects"],
        summary="List subjects, newest first",
        description="`under`: of an organisation's subtree; `text`: the beginning of the name.",
        responses=problems(),
    )
    def list_subjects(
        asking: Reader,
        *,
        kind: SubjectKind | None = None,
        under: Annotated[str | None, Query(max_length=32)] = None,
        text: Annotated[str | None, Query(max_length=200)] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        sort: Sort = None,
    ) -> SubjectList:
        query = SubjectQuery(scope_of(asking, rights), kind, under, text)
        page = subjects.list_subjects(query, cursor=cursor, limit=limit, sort=sort)
        items = tuple(SubjectView.of(subject) for subject in page.items)
        return SubjectList(items=items, next_cursor=page.next_cursor)

    @router.post(
        "/subjects/find",
        tags=["subjects"],
        summary="Find a subject by its identifier",
        description="A POST, so that no identity card number comes into a URL or its log.",
        responses=problems(404),
    )
    def find(asking: Reader, body: IdentifierBody) -> SubjectView:
        unknown = f"no {body.kind} with this {body.identifier_type} is kept where you may look"
        found = subjects.find(body.read())
        if found is None:
            raise NotFound(unknown)
        try:
            require_sight(asking, rights, organisation=found.organisation)
        except Forbidden as error:
            # The reason names an organisation: it would say where somebody belongs.
            raise NotFound(unknown) from error
        return SubjectView.of(found)

    @router.get(
        "/subjects/{subject_id}",
        tags=["subjects"],
        summary="Look at a subject, and where it belonged",
        responses=problems(404),
    )
    def get_subject(asking: Reader, subject_id: str) -> SubjectDetail:
        found = subjects.get(subject_id)
        require_sight(asking, rights, organisation=found.organisation)
        moves = tuple(SubjectMoveView.of(move) for move in subjects.history(found.id))
        return SubjectDetail(subject=SubjectView.of(found), history=moves)

    _add_changes(router, subjects, rights)


def _add_changes(router: APIRouter, subjects: Subjects, rights: Rights) -> None:
    answers = problems(404, 409, 503)

    def require_entry(asking: Principal, organisation: str) -> None:
        # Whoever enters requests there keeps the subjects that they are for.
        rights.require(
            asking.name, Operation.APPLY, Step.ENTRY, organisation=organisation, profile=None
        )

    @router.post(
        "/subjects",
        tags=["subjects"],
        summary="Keep a person, an organisation or a device",
        status_code=HTTPStatus.CREATED,
        responses=answers,
    )
    def create(asking: Writer, body: NewSubject) -> SubjectView:
        require_entry(asking, body.organisation)
        made = subjects.create(
            body.read(), body.organisation, body.particulars(), actor=asking.name
        )
        return SubjectView.of(made)

    @router.post(
        "/subjects/{subject_id}/update",
        tags=["subjects"],
        summary="Replace name, email and contacts of a subject",
        responses=answers,
    )
    def update(asking: Writer, subject_id: str, body: ParticularsBody) -> SubjectView:
        require_entry(asking, subjects.get(subject_id).organisation)
        changed = subjects.update(subject_id, body.particulars(), actor=asking.name)
        return SubjectView.of(changed)

    @router.post(
        "/subjects/{subject_id}/move",
        tags=["subjects"],
        summary="Let a subject belong to another organisation",
        description="Takes the right `organisations` here and there. Its certificates keep the "
        "organisation they were issued under.",
        responses=answers,
    )
    def move(asking: Writer, subject_id: str, body: SubjectMoveRequest) -> SubjectView:
        for place in (subjects.get(subject_id).organisation, body.organisation):
            rights.require(
                asking.name, Operation.ORGANISATIONS, None, organisation=place, profile=None
            )
        return SubjectView.of(subjects.move(subject_id, body.organisation, actor=asking.name))
