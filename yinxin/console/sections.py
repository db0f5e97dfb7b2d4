"""The sections of the console: who sees which, and where the API serves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.identity import Principal, Role
from yinxin.console.api import ConsoleAPI
from yinxin.console.session import PREFIX

_CA: Final = frozenset({Role.BUSINESS, Role.AUDIT})
_SYSTEM: Final = frozenset({Role.SYSTEM, Role.AUDIT})
_RECOVERY: Final = frozenset({Role.BUSINESS, Role.KEY, Role.JUDICIAL, Role.AUDIT})
_ALL: Final = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the menu."""

    name: str
    roles: frozenset[Role]
    api: str | None
    """The route that it needs; a process without it, or without its page, has no such section."""

    @property
    def href(self) -> str:
        """Where it is."""
        return PREFIX if self.name == "dashboard" else f"{PREFIX}/{self.name}"


SECTIONS: Final = (
    Section("dashboard", _ALL, None),
    Section("requests", _CA, "/api/v1/requests"),
    Section("certificates", _CA, "/api/v1/certificates"),
    Section("bulk", _CA, "/api/v1/bulk"),
    Section("massrevocations", _CA, "/api/v1/mass-revocations"),
    Section("statistics", _CA, "/api/v1/statistics"),
    Section("notices", _CA, "/api/v1/notices"),
    Section("organisations", _CA | _SYSTEM, "/api/v1/organisations"),
    Section("subjects", _CA, "/api/v1/subjects"),
    Section("rights", _CA, "/api/v1/rights"),
    Section("recoveries", _RECOVERY, "/api/v1/key-management/recoveries"),
    Section("profiles", _CA | _SYSTEM, "/api/v1/profiles"),
    Section("proposals", _ALL - {Role.JUDICIAL}, "/api/v1/proposals"),
    Section("clients", _SYSTEM, "/api/v1/clients"),
    Section("users", _SYSTEM, "/api/v1/users"),
    Section("sessions", _SYSTEM, "/api/v1/sessions"),
    Section("logouts", _SYSTEM, "/api/v1/logout-queue"),
    Section("signingkeys", _SYSTEM, "/api/v1/signing-keys"),
    Section("revocation", _CA | _SYSTEM, "/api/v1/revocation-status"),
    Section("ceremonies", _SYSTEM, "/api/v1/ceremonies"),
    Section("settings", _SYSTEM, "/api/v1/settings"),
    Section("audit", frozenset({Role.AUDIT}), "/api/v1/audit/events"),
)


def sections_for(asking: Principal, api: ConsoleAPI) -> list[Section]:
    """Return the sections of a role in this process."""
    return [
        section
        for section in SECTIONS
        if asking.role in section.roles
        and (section.api is None or (api.serves(section.api) and api.serves(section.href)))
    ]
