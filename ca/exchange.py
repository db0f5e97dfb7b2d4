"""Carrying acts and outcomes between a registration authority and its certificate authority.

`bring` runs at the registration authority and calls the authority's counter; `collect` runs at
the authority and calls the registration authority's outbox. Either may be killed anywhere: an act
whose outcome was not kept is carried again, and is the same act.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from ca import acts
from ca.acts import Act, Branch, Outbox, Outcome, OutcomeState
from ca.operations import ISSUING
from core.errors import Unavailable

_T = TypeVar("_T", bound=BaseModel)
_ROUNDS = 1_000
"""Of one exchange; the next one goes on."""


class Calls(Protocol):
    """What `core.peer.Peer` does."""

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool) -> Any: ...


class FollowsBranch(Protocol):
    """The RA's copy of its part of the tree."""

    @property
    def known(self) -> str | None:
        """The fingerprint of the branch that was followed last, since the start."""
        ...

    def follow(self, branch: Branch) -> object:
        """Make the copy the same."""
        ...


class KeepsOutcomes(Protocol):
    """The desk's side of the outbox (`ca.desk.Desk`)."""

    def outbox(self, *, limit: int) -> Sequence[Act]:
        """Return acts that wait."""
        ...

    def answered(self, outcome: Outcome) -> None:
        """Remember an answer."""
        ...


def bring(desk: KeepsOutcomes, authority: Calls, followed: FollowsBranch) -> int:
    """Bring what waits to the authority; return how many acts ended. Raises `Unavailable`."""
    branch = authority.post(acts.BRANCH, {"known": followed.known}, repeatable=True)
    if branch is not None:
        followed.follow(parsed(Branch, branch))

    def perform(act: Act) -> Outcome:
        body = act.model_dump(mode="json", exclude_none=True)
        outcome = parsed(Outcome, authority.post(acts.PERFORM, body, repeatable=True))
        if outcome.id != act.id:
            raise Unavailable("the authority answered another act than it was asked about")
        desk.answered(outcome)
        return outcome

    return _rounds(lambda: desk.outbox(limit=acts.MOST_ACTS), perform)


def collect(perform: Callable[[Act], Outcome], branch: Branch, registrar: Calls) -> int:
    """Fetch what waits at a registration authority, do it and tell; return how many acts ended."""

    def fetch() -> Sequence[Act]:
        outbox = parsed(Outbox, registrar.post(acts.FETCH, {}, repeatable=True))
        if outbox.known != branch.fingerprint:
            registrar.post(acts.TELL_BRANCH, branch.model_dump(mode="json"), repeatable=True)
        return outbox.acts

    def perform_and_tell(act: Act) -> Outcome:
        outcome = perform(act)
        told = outcome.model_dump(mode="json", exclude_defaults=True)
        registrar.post(acts.ANSWER, told, repeatable=True)
        return outcome

    return _rounds(fetch, perform_and_tell)


def _rounds(fetch: Callable[[], Sequence[Act]], perform: Callable[[Act], Outcome]) -> int:
    ended = 0
    for _ in range(_ROUNDS):
        waiting = fetch()
        moved = 0
        stuck = False
        for act in waiting:
            changes_status = act.operation not in ISSUING
            if changes_status and stuck:
                continue  # freeze and unfreeze keep their order
            outcome = perform(act)
            if outcome.state is OutcomeState.WAITING:
                stuck = stuck or changes_status
            else:
                moved += 1
        ended += moved
        if moved == 0:
            break
    return ended


def parsed(model: type[_T], answer: Any) -> _T:
    """Read an answer strictly. Raises `Unavailable`."""
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise Unavailable("the other end answered what cannot be right") from error
