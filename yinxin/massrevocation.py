"""Revoking many certificates: its parts, put together."""

from __future__ import annotations

from collections.abc import Mapping

from ca.blockedkeys import BlockedKeys
from ca.config import CAConfig
from ca.massrevocation import MassRevocations
from ca.profiles import CertificateProfile
from ca.revocation import RevocationService
from ca.sqlblockedkeys import SQLBlockedKeyStore
from ca.sqlmassrevocation import SQLMassRevocationStore
from core.audit import AuditLog
from core.clock import Clock
from core.control import DualControl
from core.db import Database


def open_blocked_keys(
    database: Database, config: CAConfig, *, audit: AuditLog, clock: Clock
) -> BlockedKeys:
    """Return the keys that are never certified: those of the settings, and those blocked since."""
    return BlockedKeys(
        SQLBlockedKeyStore(database),
        configured=config.blocked_keys,
        transactions=database,
        audit=audit,
        clock=clock,
    )


def open_mass_revocations(
    database: Database,
    revocation: RevocationService,
    blocked: BlockedKeys,
    *,
    profiles: Mapping[str, CertificateProfile],
    control: DualControl,
    audit: AuditLog,
    clock: Clock,
) -> MassRevocations:
    """Put it together over `database`. CA certificates and OCSP signers are in no selection."""

    def never() -> list[str]:
        return [p.name for p in profiles.values() if p.authority or p.ocsp_nocheck]

    return MassRevocations(
        SQLMassRevocationStore(database, never=never),
        revocation,
        blocked,
        control=control,
        transactions=database,
        audit=audit,
        clock=clock,
    )
