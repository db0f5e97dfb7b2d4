"""HTTP for the authority, when the key management centre runs apart. For nobody else.

Who asks for a recovery at the authority is ``authority:NAME`` here: a colon is in no login name,
so that nobody of ours can be taken for somebody of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request

from core.errors import NotFound
from keystore.escrow import wire
from keystore.escrow.centre import KeyManagementCentre
from keystore.escrow.recovery import RecoveryService
from keystore.escrow.store import Recovery, RecoveryKind

_PREFIX = "authority:"


def make_authority_router(
    centre: KeyManagementCentre,
    recoveries: RecoveryService,
    *,
    require_authority: Callable[[Request], str],
) -> APIRouter:
    """Serve assignments, ends of certificates and user recoveries to the authority."""
    router = APIRouter(tags=["authority"], dependencies=[Depends(require_authority)])

    @router.post(wire.ASSIGN)
    def assign(body: wire.AssignCall) -> wire.AssignAnswer:
        given = centre.assign(
            body.request_id,
            algorithm=body.algorithm,
            signing_key=wire.from_text(body.signing_key),
            actor=_PREFIX + body.actor,
        )
        return wire.AssignAnswer(
            key_id=given.key_id,
            public_key=wire.to_text(given.public_key),
            enveloped=wire.to_text(given.enveloped),
        )

    @router.post(wire.ENVELOP)
    def envelop(body: wire.EnvelopCall) -> wire.EnvelopAnswer:
        made = centre.envelop(body.request_id, body.order(), actor=_PREFIX + body.actor)
        return wire.EnvelopAnswer(envelope=wire.to_text(made))

    @router.post(wire.IDENTITY)
    def identity() -> wire.IdentityAnswer:
        shown = centre.identity()
        return wire.IdentityAnswer(
            certificate=wire.to_text(shown.certificate),
            transport_key=wire.to_text(shown.transport_key),
        )

    @router.post(wire.RETIRE, status_code=HTTPStatus.NO_CONTENT)
    def retire(body: wire.RetireCall) -> None:
        centre.retire(body.request_id)

    _add_recoveries(router, recoveries)
    return router


def _add_recoveries(router: APIRouter, recoveries: RecoveryService) -> None:
    @router.post(wire.RECOVER)
    def recover(body: wire.RecoverCall) -> wire.RecoveryAnswer:
        recovery = recoveries.request(
            RecoveryKind.USER,
            fingerprint=body.fingerprint,
            recipient=wire.from_text(body.recipient),
            reason=body.reason,
            actor=_PREFIX + body.actor,
        )
        return _theirs(recovery)

    @router.post(wire.LIST)
    def list_recoveries(body: wire.ListCall) -> wire.ListAnswer:
        found = recoveries.list_recoveries(limit=body.limit)
        return wire.ListAnswer(items=tuple(_theirs(item) for item in found if _is_theirs(item)))

    @router.post(wire.OF_KEY)
    def list_of_key(body: wire.OfKeyCall) -> wire.ListAnswer:
        found = recoveries.list_of_key(body.fingerprint, limit=body.limit)
        return wire.ListAnswer(
            items=tuple(_theirs(one) if _is_theirs(one) else _veiled(one) for one in found)
        )

    @router.post(wire.SHOW)
    def show(body: wire.RecoveryCall) -> wire.RecoveryAnswer:
        recovery = recoveries.get(body.recovery_id)
        if not _is_theirs(recovery):
            raise NotFound(f"there is no recovery {body.recovery_id}")
        return _theirs(recovery)

    @router.post(wire.DELIVER)
    def deliver(body: wire.RecoveryCall) -> wire.DeliverAnswer:
        enveloped = recoveries.deliver(body.recovery_id, actor=_PREFIX + body.actor)
        return wire.DeliverAnswer(enveloped=wire.to_text(enveloped))


def _is_theirs(recovery: Recovery) -> bool:
    return recovery.requester.startswith(_PREFIX)


def _veiled(recovery: Recovery) -> wire.RecoveryAnswer:
    """Show that and when it happened; who asked here, and why, stays here."""
    secret = {"requester": "", "reason": "", "approvers": (), "rejected_by": None}
    return wire.RecoveryAnswer.of(recovery).model_copy(update=secret)


def _theirs(recovery: Recovery) -> wire.RecoveryAnswer:
    shown = wire.RecoveryAnswer.of(recovery)
    return shown.model_copy(update={"requester": recovery.requester.removeprefix(_PREFIX)})
