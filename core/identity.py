"""Who is asking, after authentication."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The separated lines of administration (GM/T 0034: nobody holds two of them)."""

    SYSTEM = "system"
    """系统管理员: settings, clients, administrators."""
    BUSINESS = "business"
    """业务管理员: certificates."""
    AUDIT = "audit"
    """审计管理员: reads the audit log, changes nothing."""
    KEY = "key"
    """密钥管理员: officers of the key management centre; they decide about recoveries."""
    JUDICIAL = "judicial"
    """司法取证员: asks for judicial recoveries, and nothing else."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The one who asks. `name` is what the audit log shows as the actor."""

    name: str
    role: Role | None
    """None: known, and without any administrative right."""
    method: str
    """How they proved it: ``token``, ``certificate``, ``session``, ``system``."""


SYSTEM_ACTOR = "system"
"""The actor of what the service does by itself (schedules, first start)."""
