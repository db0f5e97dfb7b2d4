"""Certificate profiles: those of the files, those decided since, and how they are changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ca.config import CAConfig
from ca.liveprofiles import LiveProfiles
from ca.profilechanges import ProfileChanges
from ca.profiles import load_profiles
from ca.sqlprofiles import SQLProfileStore
from core.audit import AuditLog
from core.clock import Clock
from core.control import DualControl
from core.db import Database


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles in force, and their changes."""

    live: LiveProfiles
    changes: ProfileChanges

    @classmethod
    def assemble(
        cls,
        config: CAConfig,
        database: Database,
        *,
        control: DualControl,
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put it together over `database`. Raises `Misconfigured`."""
        store = SQLProfileStore(database)
        live = LiveProfiles(load_profiles(config.profiles_directory), store, clock=clock)
        changes = ProfileChanges(live, store, control=control, audit=audit, clock=clock)
        return cls(live, changes)
