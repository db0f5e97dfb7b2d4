"""Making every check of a host of any role, also when its service cannot be opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from core.errors import Misconfigured, TrustError
from yinxin.health.authority import AUTHORITY_CHECKS
from yinxin.health.beside import CENTRE_CHECKS, DESK_CHECKS, Beside
from yinxin.health.findings import Check, Finding, Level, look
from yinxin.health.host import HOST_CHECKS
from yinxin.keys import open_keys
from yinxin.settings import Settings
from yinxin.state import HostRole, State, role_of
from yinxin.wiring import Ground, Service, open_ground, open_service

CHECKS: Final[Mapping[HostRole, tuple[Check[Any], ...]]] = {
    HostRole.CA: (*HOST_CHECKS, *AUTHORITY_CHECKS),
    HostRole.KM: (*HOST_CHECKS, *CENTRE_CHECKS),
    HostRole.RA: (*HOST_CHECKS, *DESK_CHECKS),
}
_KEYS: Final = {
    HostRole.CA: "ca-keys", HostRole.KM: "host-certificate", HostRole.RA: "host-certificate",
}  # fmt: skip
"""Which check says it when the keystore does not open."""


def check_health(service: Service) -> list[Finding]:
    """Make every check of an authority that is open."""
    host = [look(check, service.ground) for check in HOST_CHECKS]
    return [*host, *(look(check, service) for check in AUTHORITY_CHECKS)]


def check_beside(host: Beside, checks: Sequence[Check[Beside]]) -> list[Finding]:
    """Make every check of a centre or a registration authority that is open."""
    made = [look(check, host.ground) for check in HOST_CHECKS]
    return [*made, *(look(check, host) for check in checks)]


def check_installation(settings: Settings, state: State) -> list[Finding]:
    """Open what can be opened, and make every check that this allows.

    What stands in the way is a finding itself: ``database`` when rows cannot be read, ``ca-keys``
    or ``host-certificate`` when the keystore does not open; the checks behind it are then unknown.
    Raises `Misconfigured` for the state of an OCSP node.
    """
    role = role_of(state) or HostRole.CA
    if role not in CHECKS:
        raise Misconfigured(f"{state.directory} is the state of a {role} node: ask its /readyz")
    try:
        ground = open_ground(settings, state)
    except TrustError as error:
        return _blocked(role, "database", error, [])
    try:
        host = [look(check, ground) for check in HOST_CHECKS]
        try:
            return [*host, *_OF_ROLE[role](ground)]
        except TrustError as error:
            return _blocked(role, _KEYS[role], error, host)
    finally:
        ground.close()


def _of_authority(ground: Ground) -> list[Finding]:
    service = open_service(ground)
    try:
        return [look(check, service) for check in AUTHORITY_CHECKS]
    finally:
        service.keystore.close()


def _of_beside(checks: Sequence[Check[Beside]]) -> Callable[[Ground], list[Finding]]:
    def make(ground: Ground) -> list[Finding]:
        keystore = open_keys(ground.settings, ground.state)
        try:
            return [look(check, Beside(ground, keystore)) for check in checks]
        finally:
            keystore.close()

    return make


_OF_ROLE: Final[Mapping[HostRole, Callable[[Ground], list[Finding]]]] = {
    HostRole.CA: _of_authority,
    HostRole.KM: _of_beside(CENTRE_CHECKS),
    HostRole.RA: _of_beside(DESK_CHECKS),
}


def _blocked(
    role: HostRole, name: str, error: TrustError, made: Sequence[Finding]
) -> list[Finding]:
    done = {finding.check for finding in made}
    behind = [
        Finding(
            check.name,
            Level.CRITICAL if check.name == name else Level.UNKNOWN,
            str(error) if check.name == name else f"not looked at: {name} stands in the way",
            check.remedy if check.name == name else None,
        )
        for check in CHECKS[role]
        if check.name not in done
    ]
    return [*made, *behind]
