"""A key management centre beside the small authority."""

from __future__ import annotations

from core.errors import Unavailable
from keystore import sm2
from keystore.escrow.config import KeyManagementConfig
from tests.unit.ca.conftest import Authority
from yinxin.key_management import KeyManagement

HOLDER = sm2.PrivateKey.from_scalar(0x3945208F7B2144B13F36E38AC6D39F95)
CONFIG = KeyManagementConfig(
    storage_key="memory:object=km-storage",
    standby_minimum=1,
    standby_target=1,
    rsa_standby_minimum=1,
    rsa_standby_target=2,
)


def key_management(authority: Authority) -> KeyManagement:
    return KeyManagement.assemble(
        CONFIG,
        authority.database,
        keystore=authority.keystore,
        profiles=authority.profiles,
        certificates=authority.store,
        audit=authority.audit,
        clock=authority.clock,
    )


class AwayEscrow:
    """A key management centre that cannot be reached."""

    def assign(self, request_id: str, **_: object) -> None:
        raise Unavailable("the key management centre cannot be reached")

    def envelop(self, request_id: str, order: object, *, actor: str) -> bytes:
        raise Unavailable("the key management centre cannot be reached")

    def identity(self) -> None:
        raise Unavailable("the key management centre cannot be reached")

    def retire(self, request_id: str) -> None:
        raise Unavailable("the key management centre cannot be reached")
