"""What the revocation service can be told."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from crl.mirror_config import MirrorConfig
from keystore.algorithms import KeyAlgorithm


class CRLConfig(BaseModel):
    """How often, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    validity_hours: int = Field(default=168, ge=2, le=24 * 366)
    """From thisUpdate to nextUpdate. Never beyond the issuer's own not_after."""
    refresh_hours: int = Field(default=6, ge=1)
    """A CRL is made again at this age, even when nothing was revoked."""
    max_age_seconds: int = Field(default=300, ge=0)
    """How long HTTP caches may keep a CRL."""
    debounce_seconds: int = Field(default=5, ge=0, le=3600)
    """A CRL with more than 10,000 entries is not made again sooner than this after a revocation.
    Shorter ones are made at once."""
    full_entries: int = Field(default=100_000, ge=0)
    """An issuer all of whose certificates are in partitions (`ca.crl_partitions`) has a full CRL
    besides, up to so many entries."""
    delta: bool = False
    """Make delta CRLs too (RFC 5280, 5.2.4). Complete CRLs then name them in freshestCRL."""
    delta_validity_hours: int = Field(default=24, ge=2, le=24 * 31)
    """From thisUpdate to nextUpdate of a delta CRL. It is made again at half of it."""

    @model_validator(mode="after")
    def _refreshed_in_time(self) -> Self:
        if 2 * self.refresh_hours > self.validity_hours:
            raise ValueError(
                f"crl.refresh_hours ({self.refresh_hours}) must be at most half of "
                f"crl.validity_hours ({self.validity_hours}), so that one failed run is no outage"
            )
        return self


class NoncePolicy(StrEnum):
    """RFC 9654, 2.1."""

    AUTO = "auto"
    """Repeat it as long as the budget of signatures lasts, then answer without it."""
    IGNORE = "ignore"
    """Never repeat it: every answer can be cached."""
    REQUIRE = "require"
    """Answer nobody without one (`unauthorized`), and nothing from memory."""


class OCSPConfig(BaseModel):
    """How OCSP answers are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    validity_hours: int = Field(default=24, ge=2, le=240)
    """From thisUpdate to nextUpdate. An answer is signed again at half of it."""
    backdate_seconds: int = Field(default=60, ge=0, le=300)
    """thisUpdate lies this long in the past: NSS refuses one 120 s in its future."""
    clock_skew_seconds: int = Field(default=60, ge=0)
    """When the clock is further behind the last producedAt than this, nothing is signed."""
    max_age_seconds: int = Field(default=3600, ge=0)
    """How long HTTP caches may keep an answer; also ends one hour before nextUpdate."""
    status_lag_seconds: int = Field(default=30, ge=1, le=86_400)
    """When the status log was not read to its end for this long, the service says that it is not
    ready. It goes on answering from its local store."""
    workers: int = Field(default=0, ge=0, le=64)
    """Processes that answer OCSP, besides the one that keeps the store and signs. 0: that one
    answers, too. One for each processor that is to spare."""
    store_gibibytes: int = Field(default=64, ge=1, le=1024)
    """How large the local store (``status.lmdb`` in the state directory) may become. Ten million
    statuses take about 1 GiB, each answer that was asked for another 0.7 KiB."""
    retention_hours: int = Field(default=1, ge=0)
    """How long after its not_after a certificate is still answered for. Answers about an expired
    certificate say so with archiveCutoff (RFC 6960, 4.4.4)."""
    nonce: NoncePolicy = NoncePolicy.AUTO
    """What a nonce means (RFC 9654)."""
    nonces_per_second: int = Field(default=400, ge=0)
    """Answers with a nonce cost a signature each, and this is how many each process signs. Above
    it, `auto` answers without the nonce and `require` says `tryLater`."""
    unknown_per_second: int = Field(default=10, ge=0)
    """So many answers `unknown` each process signs, for serial numbers that were never issued.
    Above it, and always with 0, such a question is `unauthorized`."""
    direct_issuers: frozenset[str] = frozenset()
    """Names of issuers whose answers the CA's own key signs, at the authority, and not a delegated
    responder. One is kept ready all the same; OCSP nodes have only theirs."""
    signer_key: str = "software:object={name}"
    """Where keys of delegated responders are made: a key reference with ``{name}`` in it."""
    signer_key_of: dict[str, str] = Field(default_factory=dict)
    """Exceptions to `signer_key` by issuer name: one hierarchy may live on a token alone."""
    rsa_issuer_signer: KeyAlgorithm = KeyAlgorithm.EC_P256
    """The delegated responder's key under an RSA issuer. SM2 and EC issuers: their own kind."""

    @model_validator(mode="after")
    def _signer_key_names_an_object(self) -> Self:
        for template in (self.signer_key, *self.signer_key_of.values()):
            if template.count("{name}") != 1:
                raise ValueError(f"ocsp.signer_key must contain {{name}} exactly once: {template}")
        return self


class RevocationConfig(BaseModel):
    """The section ``[revocation]`` of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crl: CRLConfig = CRLConfig()
    ocsp: OCSPConfig = OCSPConfig()
    mirror: MirrorConfig = MirrorConfig()
