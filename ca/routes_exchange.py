"""HTTP between a registration authority and its certificate authority, for no third."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request

from ca import acts
from ca.acts import Act, Branch, BranchCall, Nothing, Outbox, Outcome, Questions, Verdicts
from ca.asking import Asking
from ca.counter import Counter
from ca.countercheck import CounterCheck
from ca.desk import Desk
from ca.exchange import FollowsBranch
from ca.registrars import Registrar


def make_counter_router(
    counter: Counter, check: CounterCheck, *, require_registrar: Callable[[Request], Registrar]
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

    @router.post(acts.CHECK, response_model_exclude_none=True)
    def check_rows(asked: Questions, calling: Registrar = calls) -> Verdicts:
        return check.check(calling, asked)

    return router


def make_outbox_router(
    desk: Desk,
    asking: Asking,
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

    @router.post(acts.QUESTIONS, response_model_exclude_none=True)
    def questions(_: Nothing) -> Questions:
        return asking.questions()

    @router.post(acts.VERDICTS, status_code=HTTPStatus.NO_CONTENT)
    def verdicts(said: Verdicts) -> None:
        asking.answered(said)

    return router
