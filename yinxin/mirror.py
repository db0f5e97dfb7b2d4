"""Putting CRLs and CA certificates elsewhere, assembled when the settings name a place."""

from __future__ import annotations

from collections.abc import Mapping

from ca.issuer import Issuer
from core.clock import Clock
from crl.config import RevocationConfig
from crl.mirror import Mirror, Shelf
from crl.schedule import CRLSchedule
from crl.shelf_directory import DirectoryShelf
from crl.shelf_s3 import S3Shelf


def assemble_mirror(
    config: RevocationConfig,
    schedule: CRLSchedule,
    issuers: Mapping[str, Issuer],
    *,
    clock: Clock,
) -> Mirror | None:
    """Return None without a place. Raises `Misconfigured`."""
    shelves: list[Shelf] = []
    if config.mirror.directory is not None:
        shelves.append(DirectoryShelf(config.mirror.directory))
    if config.mirror.bucket is not None:
        shelves.append(S3Shelf(config.mirror, clock=clock))
    if not shelves:
        return None
    return Mirror(shelves, schedule, issuers, config=config.crl, clock=clock)
