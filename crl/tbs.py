"""TBSCertList octets (RFC 5280, 5.1) for any signature algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from ca.tbs import Extension
from core import der
from crl.entries import encode_time

_V2: Final = der.encode(1)


@dataclass(frozen=True, slots=True)
class CRLContent:
    """What one CRL says."""

    issuer: bytes
    """DER Name."""
    issuer_key_identifier: bytes
    """The subject key identifier of the issuer's certificate."""
    algorithm: bytes
    """DER AlgorithmIdentifier of the signature."""
    number: int
    this_update: datetime
    next_update: datetime
    entries: bytes
    """Encoded lines, one behind the other (`crl.entries`)."""
    distribution_points: Sequence[str] = ()
    """URLs of a partition, as in the certificates of it; none: the CRL speaks of all."""
    freshest: Sequence[str] = ()
    """URLs of the delta CRL of the same scope. Not on a delta CRL (RFC 5280, 5.2.6)."""
    base: int | None = None
    """On a delta CRL, the number of the CRL that it adds to."""


def encode_tbs(content: CRLContent) -> bytes:
    """Return the octets to sign."""
    extensions = [der.encode(extension) for extension in _extensions(content)]
    return der.sequence(
        _V2,
        content.algorithm,
        content.issuer,
        encode_time(content.this_update),
        encode_time(content.next_update),
        # RFC 5280, 5.1.2.6: the list is absent when there is nothing in it.
        der.sequence(content.entries) if content.entries else b"",
        der.explicit(0, der.sequence(*extensions)),
    )


def _extensions(content: CRLContent) -> Iterator[Extension]:
    yield _extension(x509.AuthorityKeyIdentifier(content.issuer_key_identifier, None, None))
    yield _extension(x509.CRLNumber(content.number))
    if content.base is not None:
        yield _extension(x509.DeltaCRLIndicator(content.base), critical=True)
    if content.distribution_points:
        # The same octets as in the certificates: OpenSSL and others compare the names.
        names = [x509.UniformResourceIdentifier(url) for url in content.distribution_points]
        point = x509.IssuingDistributionPoint(
            full_name=names,
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        )
        yield _extension(point, critical=True)
    if content.freshest:
        urls = [x509.UniformResourceIdentifier(url) for url in content.freshest]
        yield _extension(x509.FreshestCRL([x509.DistributionPoint(urls, None, None, None)]))


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> Extension:
    return Extension(oid=value.oid, critical=critical, value=value.public_bytes())
