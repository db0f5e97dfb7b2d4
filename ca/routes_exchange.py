"""HTTP between a registration authority and its certificate authority, for no third."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request

from ca import acts
from ca.acts import Act, Branch, BranchCall, Nothing, Outbox, Outcome
from ca.counter import Counter
from ca.desk import Desk
from ca.exchange import FollowsBranch
from ca.registrars import Registrar


def make_counter_router(
    counter: Counter, *, require_registrar: Callable[[Request], Registrar]
) -> APIRouter:
    """Serve the authority's counter to registration authorities that call it."""
    router = APIRouter(tags=["registration authorities"])
    # As defaults: an annotation is resolved where this module's names are, not this function's.
    calls = Depends(require_registrar)

    # What was added later is left out where it is not needed: the other end may be older.
    @router.post(acts.PERFORM, response_model_exclude_defaults=True)
    def perform(act: Act, calling: Registrar = calls) -> Outcome:
        return counter.perform(calling, act)

    @router.post(acts.BRANCH)
    def branch(asked: BranchCall, calling: Registrar = calls) -> Branch | None:
        found = counter.branch(calling)
        return None if found.fingerprint == asked.known else found

    return router


def make_outbox_router(
    desk: Desk,
    followed: FollowsBranch,
    *,
    require_authority: Callable[[Request], str],
) -> APIRouter:
    """Serve a registration authority's outbox to the authority that calls it."""
    router = APIRouter(tags=["authority"], dependencies=[Depends(require_authority)])

    @router.post(acts.FETCH, response_model_exclude_unset=True)
    def fetch(_: Nothing) -> Outbox:
        return Outbox(acts=tuple(desk.outbox(limit=acts.MOST_ACTS)), known=followed.known)

    @router.post(acts.ANSWER, status_code=HTTPStatus.NO_CONTENT)
    def answer(outcome: Outcome) -> None:
        desk.answered(outcome)

    @router.post(acts.TELL_BRANCH, status_code=HTTPStatus.NO_CONTENT)
    def tell_branch(branch: Branch) -> None:
        followed.follow(branch)

    return router
