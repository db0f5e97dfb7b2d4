"""Where the CRL for a certificate is: of the whole issuer, or of the partition of its serial.

The partition is fixed when the certificate is issued: its distribution point names the number of
partitions and the one that the certificate is in. Another number of partitions is another prefix,
so that certificates of both live side by side (docs/decisions/0121).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core.errors import Malformed

MAX_PARTITIONS: Final = 4096
_PATH: Final = re.compile(rb"/crl/([a-z0-9-]+)/([0-9]{1,4})/([0-9]{1,4})\.crl")


def is_partitioning(partitions: int) -> bool:
    """Whether an issuer's certificates can be in so many partitions: a power of two."""
    return 1 <= partitions <= MAX_PARTITIONS and partitions & (partitions - 1) == 0


@dataclass(frozen=True, slots=True)
class Scope:
    """Which certificates one CRL speaks of (RFC 5280, 5)."""

    issuer: str
    """The issuer's name in this service."""
    partitions: int = 1
    """1: all certificates of the issuer, on a full and complete CRL."""
    partition: int = 0
    """The certificates whose serial number modulo `partitions` is this."""

    @property
    def name(self) -> str:
        """``rsa-issuing``, or ``rsa-issuing/16/5``."""
        if self.partitions == 1:
            return self.issuer
        return f"{self.issuer}/{self.partitions}/{self.partition}"

    @property
    def path(self) -> str:
        """Where the CRL is, below the revocation URL."""
        return f"crl/{self.name}.crl"

    @property
    def delta_path(self) -> str:
        """Where the delta CRL is, below the revocation URL."""
        return f"crl/{self.name}.delta.crl"


def scope_of(issuer: str, serial: int, partitions: int) -> Scope:
    """Return the scope that a certificate with this serial number is issued into."""
    # The low bits, and never an offset or a hash: relying parties can see that it is so.
    return Scope(issuer, partitions, serial % partitions)


def scopes_of(issuer: str, partitions: int) -> tuple[Scope, ...]:
    """Return all scopes of one partitioning."""
    return tuple(Scope(issuer, partitions, number) for number in range(partitions))


def parse_scope(name: str) -> Scope:
    """Read a name back. Raises `Malformed`."""
    issuer, *numbers = name.split("/")
    if not numbers:
        return Scope(issuer)
    if len(numbers) != 2 or not all(one.isascii() and one.isdigit() for one in numbers):
        raise Malformed(f"{name!r} is not ISSUER or ISSUER/PARTITIONS/PARTITION")
    scope = Scope(issuer, int(numbers[0]), int(numbers[1]))
    if not is_partitioning(scope.partitions) or scope.partition >= scope.partitions:
        raise Malformed(f"there is no partition {numbers[1]} of {numbers[0]}")
    return scope


def named_scope(certificate: bytes) -> Scope | None:
    """Return the partition that the octets of a certificate point to; None: they name none."""
    found = _PATH.search(certificate)
    if found is None:
        return None
    return Scope(found[1].decode(), int(found[2]), int(found[3]))
