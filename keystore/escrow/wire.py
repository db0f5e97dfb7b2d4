"""What the authority and its key management centre say to each other when they run apart.

JSON, strict on both sides: `keystore.escrow.remote` speaks, `keystore.escrow.routes_authority`
answers. Octets are base64.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.errors import Malformed
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import Dialect
from keystore.escrow.envelopes import EnvelopeOrder
from keystore.escrow.store import Recovery, RecoveryKind, RecoveryState
from keystore.pkcs12 import MAX_CERTIFICATES

ASSIGN: Final = "/km/v1/assign"
ENVELOP: Final = "/km/v1/envelop"
IDENTITY: Final = "/km/v1/identity"
RETIRE: Final = "/km/v1/retire"
RECOVER: Final = "/km/v1/recoveries"
LIST: Final = "/km/v1/recoveries/list"
OF_KEY: Final = "/km/v1/recoveries/of-key"
SHOW: Final = "/km/v1/recoveries/show"
DELIVER: Final = "/km/v1/recoveries/deliver"

RequestId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Actor = Annotated[str, Field(min_length=1, max_length=150)]
Octets = Annotated[str, Field(min_length=4, max_length=16_384)]


MOST_LISTED: Final = 1000


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AssignCall(_Wire):
    """Give this request its key, enveloped to the signing key."""

    request_id: RequestId
    algorithm: KeyAlgorithm
    signing_key: Octets
    actor: Actor


class AssignAnswer(_Wire):
    """The key of a request."""

    key_id: RequestId
    public_key: Octets
    enveloped: Octets


class EnvelopCall(_Wire):
    """Envelop the key of this request in another dialect: `EnvelopeOrder`."""

    request_id: RequestId
    dialect: Dialect
    recipient: Octets
    certificates: Annotated[tuple[Octets, ...], Field(max_length=MAX_CERTIFICATES)]
    sealed_password: Annotated[str, Field(max_length=1_000)] | None
    actor: Actor

    @classmethod
    def of(cls, request_id: str, order: EnvelopeOrder, actor: str) -> Self:
        """Put an order on the wire."""
        sealed = order.sealed_password
        return cls(
            request_id=request_id,
            dialect=order.dialect,
            recipient=to_text(order.recipient),
            certificates=tuple(to_text(certificate) for certificate in order.certificates),
            sealed_password=None if sealed is None else to_text(sealed),
            actor=actor,
        )

    def order(self) -> EnvelopeOrder:
        """Take it off the wire. Raises `Malformed`."""
        sealed = self.sealed_password
        return EnvelopeOrder(
            dialect=self.dialect,
            recipient=from_text(self.recipient),
            certificates=tuple(from_text(certificate) for certificate in self.certificates),
            sealed_password=None if sealed is None else from_text(sealed),
        )


class EnvelopAnswer(_Wire):
    """An envelope of that dialect."""

    envelope: Octets


class IdentityAnswer(_Wire):
    """The centre's public keys."""

    certificate: Octets
    transport_key: Octets


class RetireCall(_Wire):
    """The certificate of this request's key has ended."""

    request_id: RequestId


class RecoverCall(_Wire):
    """A user recovery, asked for at the authority."""

    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    recipient: Octets
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    actor: Actor


class RecoveryCall(_Wire):
    """Show or deliver one recovery."""

    recovery_id: RequestId
    actor: Actor


class ListCall(_Wire):
    """The recoveries that were asked for at the authority, newest first."""

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)]


class OfKeyCall(_Wire):
    """Every recovery of one key, for its holder."""

    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    limit: Annotated[int, Field(ge=1, le=1000)]


class DeliverAnswer(_Wire):
    """An envelope."""

    enveloped: Octets


class RecoveryAnswer(_Wire):
    """One recovery, whole."""

    id: RequestId
    kind: RecoveryKind
    state: RecoveryState
    key_id: RequestId
    recipient: Octets
    reason: str
    requester: str
    approvers: tuple[str, ...]
    rejected_by: str | None
    created_at: AwareDatetime
    expires_at: AwareDatetime
    delivered_at: AwareDatetime | None

    @classmethod
    def of(cls, recovery: Recovery) -> Self:
        """Put a record on the wire."""
        return cls(
            id=recovery.id,
            kind=recovery.kind,
            state=recovery.state,
            key_id=recovery.key_id,
            recipient=to_text(recovery.recipient),
            reason=recovery.reason,
            requester=recovery.requester,
            approvers=recovery.approvers,
            rejected_by=recovery.rejected_by,
            created_at=recovery.created_at,
            expires_at=recovery.expires_at,
            delivered_at=recovery.delivered_at,
        )

    def record(self) -> Recovery:
        """Take it off the wire. Raises `Malformed`."""
        return Recovery(
            id=self.id,
            kind=self.kind,
            state=self.state,
            key_id=self.key_id,
            recipient=from_text(self.recipient),
            reason=self.reason,
            requester=self.requester,
            created_at=self.created_at,
            expires_at=self.expires_at,
            approvers=self.approvers,
            rejected_by=self.rejected_by,
            delivered_at=self.delivered_at,
        )


class ListAnswer(_Wire):
    """Recoveries."""

    items: Annotated[tuple[RecoveryAnswer, ...], Field(max_length=1000)]


def to_text(octets: bytes) -> str:
    """Return base64."""
    return base64.b64encode(octets).decode("ascii")


def from_text(text: str) -> bytes:
    """Read base64. Raises `Malformed`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("this is not base64") from error
