"""Go's `golang.org/x/crypto/ocsp`, which Caddy and others use. RSA and EC only, SHA-256 CertIDs."""

from __future__ import annotations

from tests.judges import gmsm
from tests.judges.command import ask
from tests.judges.octets import files


def ask_ocsp(url: str, *path: bytes) -> str:
    """Ask the responder at `url` about the end of `path`; give its word: good or revoked."""
    with files(issuer=path[-2], subject=path[-1]) as file:
        return ask(gmsm.binary(), "ocsp", *file.values(), url).strip()
