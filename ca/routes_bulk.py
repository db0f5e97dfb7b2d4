"""HTTP for bulk requests: upload, look, submit, decide, fetch."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response

from ca.asking import Asking
from ca.bulk import Batch, BatchState, ItemState
from ca.bulkservice import BulkService
from ca.operations import Operation
from ca.rights import Rights
from ca.rights_store import Step
from ca.schemas_bulk import BatchView, ConfirmBatch, ItemView, RejectBatch, SubmitBatch
from ca.wire import Limit, Reader, Writer, problems, require_sight, scope_of
from core.errors import Malformed
from core.openapi import After, Sort
from keystore.algorithms import KeyAlgorithm

PATH = "/api/v1/bulk"
"""Files go here: the one path that takes long bodies, from callers who are known."""
_OCTETS = "application/octet-stream"


class _Access:
    """Rights on the way in, as in `ca.routes_access`: on the batch's organisation and profile."""

    def __init__(self, bulk: BulkService, rights: Rights) -> None:
        self._bulk = bulk
        self.rights = rights

    def act(self, step: Step | None) -> Any:
        """Take the right to apply, at this step (None: any)."""

        def dependency(asking: Writer, batch_id: str) -> None:
            batch = self._bulk.get(batch_id)
            self.rights.require(
                asking.name,
                Operation.APPLY,
                step,
                organisation=batch.organisation_id,
                profile=batch.profile,
            )

        return [Depends(dependency)]

    def see(self) -> Any:
        """Take the right to query, or the auditor's role."""

        def dependency(asking: Reader, batch_id: str) -> None:
            organisation = self._bulk.get(batch_id).organisation_id
            require_sight(asking, self.rights, organisation=organisation)

        return [Depends(dependency)]


def make_router(bulk: BulkService, rights: Rights, asking: Asking | None = None) -> APIRouter:
    """Serve ``/api/v1/bulk``. `asking`: at a registration authority."""
    router = APIRouter(prefix=PATH, tags=["bulk"])
    access = _Access(bulk, rights)
    _add_reading(router, bulk, access)
    _add_deciding(router, bulk, access)
    if asking is not None:
        _add_asking(router, bulk, asking, access)

    @router.post(
        "",
        summary="Upload a CSV or XLSX file for a dry run",
        description="The rows are checked in the background; nothing is issued until the batch "
        "is submitted.",
        status_code=HTTPStatus.ACCEPTED,
        responses=problems(404, 413, 422, 503),
    )
    def upload(
        asking: Writer,
        profile: Annotated[str, Query(max_length=64)],
        issuer: Annotated[str, Query(max_length=64)],
        file: Annotated[bytes, Body(media_type=_OCTETS)],
        *,
        label: Annotated[str, Query(max_length=200)] = "",
        key_algorithm: KeyAlgorithm | None = None,
        organisation: Annotated[str | None, Query(max_length=32)] = None,
    ) -> BatchView:
        place = rights.place(
            asking.name, Operation.APPLY, Step.ENTRY, organisation=organisation, profile=profile
        )
        batch = bulk.upload(
            file,
            profile=profile,
            issuer=issuer,
            label=label,
            key_algorithm=key_algorithm,
            organisation=place,
            actor=asking.name,
        )
        return _view(bulk, batch)

    @router.post(
        "/{batch_id}/package",
        summary="Fetch the result, encrypted to its recipient",
        description="Until it is confirmed it can be fetched again.",
        response_class=Response,
        responses={200: {"content": {_OCTETS: {}}}, **problems(404, 409, 503)},
        dependencies=access.act(None),
    )
    def fetch(asking: Writer, batch_id: str) -> Response:
        package = bulk.fetch(batch_id, actor=asking.name)
        return Response(package, media_type=_OCTETS, headers={"Cache-Control": "no-store"})

    @router.post(
        "/{batch_id}/confirm",
        summary="Confirm that the package arrived: its private keys are erased here",
        responses=problems(404, 409, 422, 503),
        dependencies=access.act(None),
    )
    def confirm(asking: Writer, batch_id: str, body: ConfirmBatch) -> BatchView:
        return _view(bulk, bulk.confirm(batch_id, digest=body.sha256, actor=asking.name))

    return router


def _add_reading(router: APIRouter, bulk: BulkService, access: _Access) -> None:
    @router.get(
        "",
        summary="List batches, newest first",
        description="By `created`, `state`, `label`, `profile` or `requester`.",
        responses=problems(),
    )
    def list_batches(
        asking: Reader,
        state: BatchState | None = None,
        limit: Limit = 100,
        sort: Sort = None,
        after: After = None,
    ) -> list[BatchView]:
        scope = scope_of(asking, access.rights)
        found = bulk.list_batches(scope=scope, limit=limit, state=state, sort=sort, after=after)
        return [_view(bulk, batch) for batch in found]

    @router.get(
        "/{batch_id}", summary="Look at a batch", responses=problems(404), dependencies=access.see()
    )
    def get_batch(_: Reader, batch_id: str) -> BatchView:
        return _view(bulk, bulk.get(batch_id))

    @router.get(
        "/{batch_id}/items",
        summary="List rows of a batch",
        responses=problems(404),
        dependencies=access.see(),
    )
    def list_items(
        _: Reader,
        batch_id: str,
        state: Annotated[list[ItemState] | None, Query()] = None,
        after: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
        limit: Limit = 100,
    ) -> list[ItemView]:
        states = list(ItemState) if state is None else state
        found = bulk.list_items(batch_id, states, after=after, limit=limit)
        return [ItemView.of(item) for item in found]


def _add_deciding(router: APIRouter, bulk: BulkService, access: _Access) -> None:
    changed = problems(404, 409, 422, 503)
    entry, review = access.act(Step.ENTRY), access.act(Step.REVIEW)

    @router.post(
        "/{batch_id}/submit",
        summary="Ask for the certificates",
        responses=changed,
        dependencies=entry,
    )
    def submit(asking: Writer, batch_id: str, body: SubmitBatch) -> BatchView:
        recipient = _certificate(body.recipient)
        return _view(bulk, bulk.submit(batch_id, recipient=recipient, actor=asking.name))

    @router.post(
        "/{batch_id}/approve",
        summary="Approve a whole batch",
        responses=changed,
        dependencies=review,
    )
    def approve(asking: Writer, batch_id: str) -> BatchView:
        return _view(bulk, bulk.approve(batch_id, actor=asking.name))

    @router.post(
        "/{batch_id}/reject", summary="Reject a whole batch", responses=changed, dependencies=review
    )
    def reject(asking: Writer, batch_id: str, body: RejectBatch) -> BatchView:
        return _view(bulk, bulk.reject(batch_id, actor=asking.name, reason=body.reason))

    @router.post(
        "/{batch_id}/pause",
        summary="Stop after the rows in hand",
        responses=changed,
        dependencies=entry,
    )
    def pause(asking: Writer, batch_id: str) -> BatchView:
        return _view(bulk, bulk.pause(batch_id, actor=asking.name))

    @router.post(
        "/{batch_id}/resume",
        summary="Go on with a paused batch",
        responses=changed,
        dependencies=entry,
    )
    def resume(asking: Writer, batch_id: str) -> BatchView:
        return _view(bulk, bulk.resume(batch_id, actor=asking.name))

    @router.post(
        "/{batch_id}/cancel",
        summary="Issue no more of a batch",
        responses=changed,
        dependencies=entry,
    )
    def cancel(asking: Writer, batch_id: str) -> BatchView:
        return _view(bulk, bulk.cancel(batch_id, actor=asking.name))


def _add_asking(router: APIRouter, bulk: BulkService, asking: Asking, access: _Access) -> None:
    @router.post(
        "/{batch_id}/unasked",
        summary="Go on without the authority's word on rows that it has not seen",
        description="It is heard when they are issued, and refuses them one by one then.",
        responses=problems(404, 409, 503),
        dependencies=access.act(Step.ENTRY),
    )
    def unasked(asker: Writer, batch_id: str) -> BatchView:
        asking.go_without(batch_id, actor=asker.name)
        return _view(bulk, bulk.get(batch_id))


def _view(bulk: BulkService, batch: Batch) -> BatchView:
    return BatchView.of(batch, bulk.count_items(batch.id))


def _certificate(text: str) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(text.strip())
    except ValueError as error:
        raise Malformed("the recipient is not one certificate in PEM") from error
