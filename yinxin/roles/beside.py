"""What hosts beside the authority share: who may log in, and who may call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import Request
from typing_extensions import override

from authn.certlogin import CertificateVerifier, VerifiedCertificate
from core.errors import Refused
from core.http import client_certificate
from core.peer import require_key


class NoCertificateLogin(CertificateVerifier):
    """A host that is not the authority cannot say whether a certificate holds now."""

    @override
    def verify_login_certificate(
        self, der: bytes, *, intermediates: Sequence[bytes] = ()
    ) -> VerifiedCertificate:
        """Raises `Refused`."""
        raise Refused("this service does not log in with certificates")


def only(keys: frozenset[str], *, what: str) -> Callable[[Request], str]:
    """Make a dependency that lets in who shows one of `keys` in TLS. Raises `Forbidden`."""

    def require_peer(request: Request) -> str:
        return require_key(client_certificate(request), keys, what=what)

    return require_peer
