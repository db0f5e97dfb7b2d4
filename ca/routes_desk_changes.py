"""HTTP for what a desk does to certificates: status, and another one in their place."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header

from ca.desk import Desk
from ca.desk_bodies import ReplacementBody
from ca.operations import Operation
from ca.reasons import RevocationReason
from ca.rights import Rights
from ca.rights_store import Step
from ca.schemas import RevokeRequest
from ca.schemas_changes import ReissueRequest, RekeyRequest, RenewRequest
from ca.schemas_desk import DeskView
from ca.serials import from_hex, to_hex
from ca.wire import Writer, problems
from core.identity import Principal

_ACCEPTED: Final = HTTPStatus.ACCEPTED
_PATH: Final = "/certificates/{issuer}/{serial}"
_Key = Annotated[str | None, Header(max_length=128)]


def add_change_routes(router: APIRouter, desk: Desk, rights: Rights) -> None:
    """Add ``revoke``, ``hold``, ``release``, ``renew``, ``rekey`` and ``reissue``."""
    _add_status(router, desk, rights)
    _add_replacements(router, desk, rights)


def _add_status(router: APIRouter, desk: Desk, rights: Rights) -> None:
    def change(
        operation: Operation,
        issuer: str,
        serial: str,
        asking: Principal,
        reason: RevocationReason | None = None,
    ) -> DeskView:
        name = to_hex(from_hex(serial))
        organisation, profile, subject = _place(desk, rights, operation, asking, (issuer, name))
        record = desk.act(
            operation,
            issuer,
            name,
            reason=reason,
            profile=profile,
            organisation=organisation,
            subject=subject,
            actor=asking.name,
        )
        return DeskView.of(record)

    @router.post(
        f"{_PATH}/revoke",
        tags=["certificates"],
        summary="Have a certificate revoked",
        status_code=_ACCEPTED,
        responses=problems(422, 503),
    )
    def revoke(asking: Writer, issuer: str, serial: str, body: RevokeRequest) -> DeskView:
        return change(Operation.REVOKE, issuer, serial, asking, body.reason)

    @router.post(
        f"{_PATH}/hold",
        tags=["certificates"],
        summary="Have a certificate suspended",
        status_code=_ACCEPTED,
        responses=problems(422, 503),
    )
    def hold(asking: Writer, issuer: str, serial: str) -> DeskView:
        return change(Operation.FREEZE, issuer, serial, asking)

    @router.post(
        f"{_PATH}/release",
        tags=["certificates"],
        summary="Have a suspension ended",
        status_code=_ACCEPTED,
        responses=problems(422, 503),
    )
    def release(asking: Writer, issuer: str, serial: str) -> DeskView:
        return change(Operation.UNFREEZE, issuer, serial, asking)


def _add_replacements(router: APIRouter, desk: Desk, rights: Rights) -> None:
    def enter(
        operation: Operation, wanted: ReplacementBody, asking: Principal, key: str | None
    ) -> DeskView:
        named = (wanted.issuer, wanted.serial)
        organisation, profile, subject = _place(desk, rights, operation, asking, named)
        record = desk.replace(
            operation,
            wanted,
            profile=profile,
            organisation=organisation,
            subject=subject,
            actor=asking.name,
            key=key,
        )
        return DeskView.of(record)

    def wanted_of(issuer: str, serial: str, body: RenewRequest) -> ReplacementBody:
        named = {"issuer": issuer, "serial": to_hex(from_hex(serial))}
        return ReplacementBody.model_validate(named | body.model_dump())

    @router.post(
        f"{_PATH}/renew",
        tags=["certificates"],
        summary="Ask for a new validity of the same key",
        status_code=_ACCEPTED,
        responses=problems(409, 422, 503),
    )
    def renew(
        asking: Writer, issuer: str, serial: str, body: RenewRequest, idempotency_key: _Key = None
    ) -> DeskView:
        wanted = wanted_of(issuer, serial, body)
        return enter(Operation.RENEW, wanted, asking, idempotency_key)

    @router.post(
        f"{_PATH}/rekey",
        tags=["certificates"],
        summary="Ask for a certificate with a new key; the old one is revoked when it is issued",
        description="Without a CSR the key comes with a pick-up.",
        status_code=_ACCEPTED,
        responses=problems(409, 413, 422, 503),
    )
    def rekey(
        asking: Writer, issuer: str, serial: str, body: RekeyRequest, idempotency_key: _Key = None
    ) -> DeskView:
        wanted = wanted_of(issuer, serial, body)
        return enter(Operation.REKEY, wanted, asking, idempotency_key)

    @router.post(
        f"{_PATH}/reissue",
        tags=["certificates"],
        summary="The medium is lost: ask for a certificate with a new key",
        description="The old certificate is revoked as soon as this is reviewed. Without a CSR "
        "the key comes with a pick-up.",
        status_code=_ACCEPTED,
        responses=problems(409, 413, 422, 503),
    )
    def reissue(
        asking: Writer, issuer: str, serial: str, body: ReissueRequest, idempotency_key: _Key = None
    ) -> DeskView:
        wanted = wanted_of(issuer, serial, body)
        return enter(Operation.REISSUE, wanted, asking, idempotency_key)


def _place(
    desk: Desk,
    rights: Rights,
    operation: Operation,
    asking: Principal,
    named: tuple[str, str],
) -> tuple[str | None, str | None, str | None]:
    """Return organisation, profile and subject, as far as they are known here.

    Raises `Forbidden` without the right.
    """
    known = desk.find_given(*named)
    # What was not given here needs a right over the whole branch.
    organisation = None if known is None else known.organisation_id
    profile = None if known is None else known.profile
    rights.require(asking.name, operation, Step.ENTRY, organisation=organisation, profile=profile)
    return organisation, profile, None if known is None else known.subject
