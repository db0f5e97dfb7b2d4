"""What HTTP and TLS say about who calls an endpoint for clients; the routes make it."""

from __future__ import annotations

from dataclasses import dataclass

from authn.forms import Fields


@dataclass(frozen=True, slots=True)
class Caller:
    """One request of a client, before anything about it is believed."""

    fields: Fields = ()
    """The form, in order and with duplicates."""
    authorization: str | None = None
    """The header, as it came."""
    method: str = "POST"
    url: str = ""
    """The endpoint as the client names it: without query and fragment."""
    proofs: tuple[str, ...] = ()
    """Every DPoP header."""
    certificate: bytes | None = None
    """DER of the certificate that TLS authenticated; never from a header."""
