"""The API of signing keys (role: system)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from authn.oidc.keyring import KeyRing
from authn.schemas import KeyRotation, SigningKeyView
from core.http import require_role
from core.identity import Principal, Role

System = Annotated[Principal, Depends(require_role(Role.SYSTEM))]
Watcher = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]


def make_signing_key_api(ring: KeyRing) -> APIRouter:
    """Serve /api/v1/signing-keys."""
    router = APIRouter(prefix="/api/v1/signing-keys", tags=["clients"])

    @router.get("")
    def list_signing_keys(_asking: Watcher) -> list[SigningKeyView]:
        """List the keys that sign tokens: announced, signing, retiring, gone."""
        return [
            SigningKeyView(
                ref=key.ref,
                kid=kid,
                algorithm=key.algorithm,
                state=state,
                created_at=key.created_at,
                signs_from=key.signs_from,
                signs_until=key.signs_until,
                gone_at=key.gone_at,
            )
            for key, kid, state in ring.list_keys()
        ]

    @router.post("/rotate", status_code=HTTPStatus.CREATED)
    def rotate(body: KeyRotation, asking: System) -> list[SigningKeyView]:
        """Make a new key; the answer lists all keys. It signs when it was published long enough."""
        ring.rotate(body.algorithm, at_once=body.at_once, actor=asking.name)
        return list_signing_keys(asking)

    return router
