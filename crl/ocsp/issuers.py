"""Which issuer a CertID means."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from core.errors import Conflict
from crl.ocsp.request import CertID
from keystore.algorithms import Digest


class Known(Protocol):
    """What tells an issuer from others."""

    @property
    def name(self) -> str:
        """Its name in this service."""
        ...

    @property
    def subject(self) -> bytes:
        """DER Name."""
        ...

    @property
    def certificate(self) -> bytes:
        """DER."""
        ...

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER of the certificates above it, parent first."""
        ...

    @property
    def crosses(self) -> tuple[bytes, ...]:
        """DER of certificates that outside CAs issued for its key, and for those above it."""
        ...

    @property
    def public_key_bits(self) -> bytes:
        """What an issuerKeyHash is computed over."""
        ...


K = TypeVar("K", bound=Known)


class IssuerTable(Generic[K]):
    """Finds an issuer by (hash, issuerNameHash, issuerKeyHash), computed once.

    Name and key decide together: a re-keyed issuer keeps its name, and a key may serve two names.
    """

    def __init__(self, issuers: Iterable[K]) -> None:
        self._issuers: dict[tuple[Digest | None, bytes, bytes], K] = {}
        self.replace(issuers)

    def replace(self, issuers: Iterable[K]) -> None:
        """Answer for these issuers from now on, and for no others. Raises `Conflict`."""
        table: dict[tuple[Digest | None, bytes, bytes], K] = {}
        for issuer in issuers:
            for digest in Digest:
                key = (
                    digest,
                    _hash(digest, issuer.subject),
                    # The key, not the subject key identifier (RFC 6960, 4.1.1).
                    _hash(digest, issuer.public_key_bits),
                )
                known = table.setdefault(key, issuer)
                if known.name != issuer.name:
                    raise Conflict(
                        f"{known.name} and {issuer.name} have the same name and key: "
                        "OCSP cannot tell them apart"
                    )
        self._issuers = table

    def find(self, cert_id: CertID) -> K | None:
        """Return the issuer of this service that is meant, or None."""
        return self._issuers.get((cert_id.digest, cert_id.name_hash, cert_id.key_hash))


def _hash(digest: Digest, octets: bytes) -> bytes:
    return hashlib.new(digest.value, octets, usedforsecurity=False).digest()
