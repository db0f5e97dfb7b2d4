"""What an installation says about its key management centre."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.errors import Malformed
from core.peer import check_fingerprints, check_peer_url
from keystore import keyref
from keystore.algorithms import KeyAlgorithm


class KeyManagementConfig(BaseModel):
    """The key management centre: where its storage key is, and how many keys wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    storage_key: str = "software:object=km-storage-1"
    """The key under which escrowed keys are kept; made on first start, SM2 in software, RSA on a
    token (docs/hsm.md). After a change, keys sealed before still need the old one."""
    standby_minimum: int = Field(default=10, ge=0, le=2_000)
    """Below this many keys that wait, the pool is filled up."""
    standby_target: int = Field(default=50, ge=1, le=2_000)
    """The pool is filled up to this many keys."""
    rsa_standby_minimum: int = Field(default=2, ge=0, le=500)
    """The same for RSA keys, for each size; they are made ahead once the first was asked for."""
    rsa_standby_target: int = Field(default=10, ge=1, le=500)
    """Each RSA pool is filled up to this many keys."""
    signing_key: str = "software:object=km-signing-1"
    """The SM2 key that signs envelopes (SignedAndEnvelopedData); made on first use."""
    transport_key: str = "software:object=km-transport-1"
    """The SM2 key that passwords of PKCS#12 files are sealed to; made on first use."""
    refill_seconds: int = Field(default=30, ge=1, le=86_400)
    """How often the pool is looked at, and ended certificates' keys move to history."""
    recovery_approvals: int = Field(default=2, ge=2, le=9)
    """How many officers, none of them the requester, must agree to a recovery. Never below two."""
    recovery_hours: int = Field(default=72, ge=1, le=720)
    """A recovery that is not delivered within this time is void."""

    url: str | None = None
    """Of a key management centre that runs apart (`yinxin serve --role km`): its mutual-TLS port,
    ``https://host:port``. None: the centre is in this process."""
    centre_keys: tuple[str, ...] = ()
    """Which keys that centre may show: what `yinxin host key` prints there. Needed with `url`."""
    timeout_seconds: float = Field(default=5, ge=0.1, le=60)
    """How long the authority waits for a centre that runs apart."""
    authority_keys: tuple[str, ...] = ()
    """In the centre's own settings: which keys the authority may show. What `yinxin host key`
    prints there, one for each of its nodes."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return None if value is None else check_peer_url(value)

    @field_validator("centre_keys", "authority_keys")
    @classmethod
    def _are_fingerprints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_fingerprints(value)

    @field_validator("storage_key", "signing_key", "transport_key")
    @classmethod
    def _is_reference(cls, value: str) -> str:
        try:
            return keyref.parse(value)
        except Malformed as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.standby_minimum > self.standby_target:
            raise ValueError(
                f"standby_minimum {self.standby_minimum} is more than standby_target "
                f"{self.standby_target}"
            )
        if self.rsa_standby_minimum > self.rsa_standby_target:
            raise ValueError(
                f"rsa_standby_minimum {self.rsa_standby_minimum} is more than rsa_standby_target "
                f"{self.rsa_standby_target}"
            )
        if len({self.storage_key, self.signing_key, self.transport_key}) != 3:
            raise ValueError("storage_key, signing_key and transport_key are three different keys")
        if (self.url is None) != (not self.centre_keys):
            raise ValueError("url and centre_keys go together")
        return self

    def standby_of(self, algorithm: KeyAlgorithm) -> tuple[int, int]:
        """Return the minimum and the target of one pool."""
        if algorithm is KeyAlgorithm.SM2:
            return self.standby_minimum, self.standby_target
        return self.rsa_standby_minimum, self.rsa_standby_target
