"""Who may take which step of a request, and what to tell those who may not."""

from __future__ import annotations

from typing import Final

from ca.requests import EnrollmentRecord, RequestState
from core.errors import Conflict, Forbidden, Refused

_WAITING: Final = {
    RequestState.PENDING: "the request waits for its review: approve or reject it first",
    RequestState.REVIEWED: "the request is reviewed, and waits for another operator to make it",
    RequestState.AWAITING_PICKUP: "the request is reviewed, and waits for its subscriber's pick-up",
    RequestState.APPROVED: "the request is being carried out; if that was interrupted, "
    "repeat the step in 30 seconds",
}


def describe(record: EnrollmentRecord) -> str:
    """Say why a step does not fit where the request is."""
    return _WAITING.get(record.state, f"the request is {record.state}")


def check_reviewer(record: EnrollmentRecord, actor: str, *, separate: bool) -> None:
    """Raises `Forbidden` for the own request, if requesters are kept apart (`separate`).

    Nobody ever reviews what they asked for in the portal, for themselves.
    """
    if (separate or record.owner is not None) and record.requester == actor:
        raise Forbidden("requester and approver must be two people (ca.separate_approver)")


def check_maker(record: EnrollmentRecord, actor: str, *, has_key: bool, separate: bool) -> None:
    """Raises `Conflict` where nothing is to be made, and `Forbidden` for the wrong person."""
    if not record.needs_make:
        raise Conflict("the request needs no make step: approving it issues the certificate")
    if record.decided_by == actor:
        raise Forbidden("who reviewed a request does not make its certificate: ask another")
    if (separate or record.owner is not None) and record.requester == actor:
        raise Forbidden("requester and maker must be two people (ca.separate_approver)")
    if has_key != record.keyless:
        raise Refused(
            "the request was entered without a key: send the CSR of the medium"
            if record.keyless
            else "the request has its key already: make it without a CSR"
        )
