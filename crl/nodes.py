"""OCSP nodes, as the responders tell that the authority certified for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ca.reasons import RevocationReason
from ca.store import CertificateState

REQUESTER: Final = "ocsp-node:"
"""Who asked for the certificate of a node's responder: this, and the node's key."""


@dataclass(frozen=True, slots=True)
class NodeResponder:
    """One certificate of a node's responder."""

    node: str
    """The node's key, as `yinxin host key` prints it."""
    issuer: str
    serial: int
    state: CertificateState
    reason: RevocationReason | None
    issued_at: datetime | None
    not_after: datetime


class NodeStore(Protocol):
    """Where they are looked up."""

    def list_responders(self, node: str = "") -> list[NodeResponder]:
        """Return the responders of a node, or of all, by node and the oldest first."""
        ...


def is_retired(responders: Iterable[NodeResponder]) -> bool:
    """Whether the node of these responders was retired: that is what ends one of them for good."""
    return any(one.reason is RevocationReason.CESSATION_OF_OPERATION for one in responders)


def to_revoke(responders: Iterable[NodeResponder], now: datetime) -> list[NodeResponder]:
    """Return the responders that a node which is retired could still sign with."""
    return [
        one
        for one in responders
        if one.not_after > now and one.state in {CertificateState.ISSUED, CertificateState.HELD}
    ]
