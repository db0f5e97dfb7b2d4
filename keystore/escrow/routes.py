"""HTTP for the key management centre: pools and recoveries.

Recoveries for users are asked for at the authority, which knows who holds a key (`ca.dual`).
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final, Protocol

from fastapi import APIRouter, Depends, Query

from core.errors import Forbidden
from core.http import require_role
from core.identity import Principal, Role
from core.openapi import After, Sort, problems
from keystore.dialects import ESCROWED
from keystore.escrow.centre import KeyManagementCentre
from keystore.escrow.recovery import RecoveryService
from keystore.escrow.schemas import Delivery, JudicialRequest, PoolsView, RecoveryView
from keystore.escrow.store import KeyState, Recovery, RecoveryKind, RecoveryState
from keystore.pem import public_key_of_pem

Officer = Annotated[Principal, Depends(require_role(Role.KEY))]
Judicial = Annotated[Principal, Depends(require_role(Role.JUDICIAL))]
Requester = Annotated[Principal, Depends(require_role(Role.BUSINESS, Role.JUDICIAL))]
Watcher = Annotated[Principal, Depends(require_role(Role.KEY, Role.AUDIT))]
Reader = Annotated[
    Principal, Depends(require_role(Role.KEY, Role.BUSINESS, Role.JUDICIAL, Role.AUDIT))
]
_WATCH_ALL: Final = (Role.KEY, Role.AUDIT)
_LISTED: Final = 1000


class HoldersRecoveries(Protocol):
    """Recoveries as the authority sees them: those of holders, wherever the centre is."""

    def get(self, recovery_id: str) -> Recovery:
        """Raises `NotFound`."""
        ...

    def list_recoveries(
        self,
        *,
        limit: int,
        state: RecoveryState | None,
        requester: str | None,
        sort: str | None,
        after: str | None,
    ) -> Sequence[Recovery]:
        """Return the newest first, or as `sort` says, behind the one with the id `after`."""
        ...

    def deliver(self, recovery_id: str, *, actor: str) -> bytes:
        """Return the envelope, once."""
        ...


def make_holders_router(recoveries: HoldersRecoveries) -> APIRouter:
    """Serve recoveries at an authority whose key management centre runs apart.

    What its officers do (approve, reject, judicial recoveries, pools) is served there.
    """
    router = APIRouter(prefix="/api/v1/key-management", tags=["key management"])
    _add_reading(router, recoveries)
    return router


def make_router(centre: KeyManagementCentre, recoveries: RecoveryService) -> APIRouter:
    """Serve pools and recoveries."""
    router = APIRouter(prefix="/api/v1/key-management", tags=["key management"])

    @router.get("/pools", summary="Count the keys of each pool", responses=problems(503))
    def pools(_: Watcher) -> PoolsView:
        counted = centre.count_keys()
        return PoolsView(
            standby=counted[KeyState.STANDBY],
            in_use=counted[KeyState.IN_USE],
            history=counted[KeyState.HISTORY],
            standby_by_algorithm={
                algorithm: centre.count_keys(algorithm)[KeyState.STANDBY] for algorithm in ESCROWED
            },
        )

    @router.post(
        "/recoveries",
        summary="Ask for a judicial recovery",
        status_code=HTTPStatus.CREATED,
        responses=problems(404, 422, 503),
    )
    def request_judicial(asking: Judicial, body: JudicialRequest) -> RecoveryView:
        recovery = recoveries.request(
            RecoveryKind.JUDICIAL,
            fingerprint=body.spki_fingerprint,
            recipient=public_key_of_pem(body.recipient),
            reason=body.reason,
            actor=asking.name,
        )
        return RecoveryView.of(recovery)

    _add_reading(router, recoveries)

    @router.post(
        "/recoveries/{recovery_id}/approve",
        summary="Approve a recovery",
        description="As many officers as `key_management.recovery_approvals` says have to, at "
        "least two, and none of them may be the one who asked for it.",
        responses=problems(404, 409, 503),
    )
    def approve(asking: Officer, recovery_id: str) -> RecoveryView:
        return RecoveryView.of(recoveries.approve(recovery_id, actor=asking.name))

    @router.post(
        "/recoveries/{recovery_id}/reject",
        summary="Reject a recovery",
        responses=problems(404, 409, 503),
    )
    def reject(asking: Officer, recovery_id: str) -> RecoveryView:
        return RecoveryView.of(recoveries.reject(recovery_id, actor=asking.name))

    return router


def _add_reading(router: APIRouter, recoveries: HoldersRecoveries) -> None:
    @router.get(
        "/recoveries",
        summary="List recoveries, newest first",
        description="Who asks for recoveries sees the own ones. By `created`, `kind`, `state` or "
        "`requester`.",
        responses=problems(503),
    )
    def list_recoveries(
        asking: Reader,
        *,
        state: RecoveryState | None = None,
        limit: Annotated[int, Query(ge=1, le=_LISTED)] = 100,
        sort: Sort = None,
        after: After = None,
    ) -> list[RecoveryView]:
        found = recoveries.list_recoveries(
            limit=limit,
            state=state,
            requester=None if asking.role in _WATCH_ALL else asking.name,
            sort=sort,
            after=after,
        )
        return [RecoveryView.of(recovery) for recovery in found]

    @router.get(
        "/recoveries/{recovery_id}", summary="Look at a recovery", responses=problems(404, 503)
    )
    def get_recovery(asking: Reader, recovery_id: str) -> RecoveryView:
        found = recoveries.get(recovery_id)
        if asking.role not in _WATCH_ALL and found.requester != asking.name:
            # It may be of another branch, and says whose key somebody asks for.
            raise Forbidden(f"{asking.name} looks at the recoveries that {asking.name} asked for")
        return RecoveryView.of(found)

    @router.post(
        "/recoveries/{recovery_id}/deliver",
        summary="Fetch a recovered key, once",
        description="Only for who asked for it, once, before it expires.",
        responses=problems(404, 409, 503),
    )
    def deliver(asking: Requester, recovery_id: str) -> Delivery:
        return Delivery.of(recoveries.deliver(recovery_id, actor=asking.name))
