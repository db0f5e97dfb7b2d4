"""Making every check, also when the service itself cannot be opened."""

from __future__ import annotations

from typing import Final

from core.errors import TrustError
from yinxin.health.authority import AUTHORITY_CHECKS
from yinxin.health.findings import Check, Finding, Level, look
from yinxin.health.host import HOST_CHECKS
from yinxin.settings import Settings
from yinxin.state import State
from yinxin.wiring import Ground, Service, open_ground, open_service

CHECKS: Final[tuple[Check[Ground] | Check[Service], ...]] = (*HOST_CHECKS, *AUTHORITY_CHECKS)


def check_health(service: Service) -> list[Finding]:
    """Make every check of a service that is open."""
    host = [look(check, service.ground) for check in HOST_CHECKS]
    return [*host, *(look(check, service) for check in AUTHORITY_CHECKS)]


def check_installation(settings: Settings, state: State) -> list[Finding]:
    """Open what can be opened, and make every check that this allows.

    What stands in the way is a finding itself: ``database`` when rows cannot be read, ``ca-keys``
    when the keystore does not open; the checks behind it are then unknown.
    """
    try:
        ground = open_ground(settings, state)
    except TrustError as error:
        return _blocked("database", error, [])
    try:
        host = [look(check, ground) for check in HOST_CHECKS]
        return [*host, *_of_authority(ground, host)]
    finally:
        ground.close()


def _of_authority(ground: Ground, host: list[Finding]) -> list[Finding]:
    try:
        service = open_service(ground)
    except TrustError as error:
        return _blocked("ca-keys", error, host)
    try:
        return [look(check, service) for check in AUTHORITY_CHECKS]
    finally:
        service.keystore.close()


def _blocked(name: str, error: TrustError, made: list[Finding]) -> list[Finding]:
    done = {finding.check for finding in made}
    return [
        Finding(
            check.name,
            Level.CRITICAL if check.name == name else Level.UNKNOWN,
            str(error) if check.name == name else f"not looked at: {name} stands in the way",
            check.remedy if check.name == name else None,
        )
        for check in CHECKS
        if check.name not in done
    ]
