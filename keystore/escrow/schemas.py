"""What goes over the wire of the key management centre."""

from __future__ import annotations

import contextlib
import hashlib
from base64 import b64encode
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from core.errors import Malformed
from keystore.algorithms import KeyAlgorithm
from keystore.envelope import decode_enveloped_key
from keystore.envelope_forms import encode_skf_blob
from keystore.escrow.store import Recovery, RecoveryKind, RecoveryState

Reason = Annotated[
    str, Field(min_length=1, max_length=1000, examples=["The USB key was lost, report 17/2026."])
]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PoolsView(_Wire):
    """How many keys each pool holds."""

    standby: int
    in_use: int
    history: int
    standby_by_algorithm: dict[KeyAlgorithm, int]


class JudicialRequest(_Wire):
    """Whose key an authority is entitled to, and where it goes."""

    spki_fingerprint: Annotated[
        str,
        Field(
            pattern=r"^[0-9a-f]{64}$",
            description="SHA-256 of the encryption certificate's SubjectPublicKeyInfo.",
        ),
    ]
    recipient: Annotated[
        str,
        Field(
            max_length=2_000,
            description="The authority's public key, PEM: SM2, or RSA for an RSA key.",
        ),
    ]
    reason: Reason


class RecoveryView(_Wire):
    """A recovery as its readers see it."""

    id: Annotated[str, Field(examples=["9f86d081884c7d659a2feaa0c55ad015"])]
    kind: RecoveryKind
    state: RecoveryState
    key: str
    recipient: str
    """SHA-256 over the recipient's SubjectPublicKeyInfo."""
    reason: str
    requester: str
    approvers: tuple[str, ...]
    rejected_by: str | None
    created_at: datetime
    expires_at: datetime
    delivered_at: datetime | None

    @classmethod
    def of(cls, recovery: Recovery) -> Self:
        """Show a record."""
        return cls(
            id=recovery.id,
            kind=recovery.kind,
            state=recovery.state,
            key=recovery.key_id,
            recipient=hashlib.sha256(recovery.recipient).hexdigest(),
            reason=recovery.reason,
            requester=recovery.requester,
            approvers=recovery.approvers,
            rejected_by=recovery.rejected_by,
            created_at=recovery.created_at,
            expires_at=recovery.expires_at,
            delivered_at=recovery.delivered_at,
        )


class Delivery(_Wire):
    """A recovered key, enveloped to its recipient. It is not delivered again."""

    enveloped_key: str
    """SM2EnvelopedKey (GB/T 35276), or for RSA CMS EnvelopedData (RFC 5652); DER in base64."""
    skf: str | None
    """An SM2 key as SKF ENVELOPEDKEYBLOB (GM/T 0016) in base64; none of an RSA key."""

    @classmethod
    def of(cls, enveloped: bytes) -> Self:
        """Show an envelope in the forms it has."""
        skf = None
        with contextlib.suppress(Malformed):
            skf = b64encode(encode_skf_blob(decode_enveloped_key(enveloped))).decode()
        return cls(enveloped_key=b64encode(enveloped).decode(), skf=skf)
