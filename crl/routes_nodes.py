"""What the authority does for the OCSP nodes that run apart, over mutual TLS, for no third."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Annotated, Final, Protocol

from fastapi import APIRouter, Depends, Request
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

RESPONDER: Final = "/api/v1/ocsp-node/responder"
PLACE: Final = "/api/v1/ocsp-node/place"

_Number = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]


class ResponderRequest(BaseModel):
    """A node wants a certificate for a key of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(max_length=64)
    request: Base64Bytes = Field(max_length=16_384)
    """PKCS#10, DER."""


class ResponderCertificate(BaseModel):
    """What the authority issued."""

    certificate: str
    """DER in base64."""


class NodePlace(BaseModel):
    """Up to where a node has followed the status log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: _Number
    mark: _Number


class PlaceKnown(BaseModel):
    """Whether the authority's log has that entry."""

    known: bool


class NodeDesk(Protocol):
    """Who does it."""

    def certify(self, node: str, issuer: str, request: bytes) -> bytes:
        """Return a certificate (DER) of a delegated responder for the key of a PKCS#10 request."""
        ...

    def report(self, node: str, position: int, mark: int) -> bool:
        """Take note of where a node is; False: the authority's log does not have that entry."""
        ...


def make_node_router(desk: NodeDesk, *, require_node: Callable[[Request], str]) -> APIRouter:
    """Serve OCSP nodes; `require_node` says which one calls."""
    router = APIRouter(tags=["OCSP nodes"])
    calls = Depends(require_node)

    @router.post(RESPONDER)
    def responder(asked: ResponderRequest, node: str = calls) -> ResponderCertificate:
        issued = desk.certify(node, asked.issuer, asked.request)
        return ResponderCertificate(certificate=b64encode(issued).decode("ascii"))

    @router.post(PLACE)
    def place(told: NodePlace, node: str = calls) -> PlaceKnown:
        return PlaceKnown(known=desk.report(node, told.position, told.mark))

    return router
