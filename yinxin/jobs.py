"""What runs by itself, and how often."""

from __future__ import annotations

from authn.purge import purge_all_expired
from core.jobs import Job
from yinxin.tls import ServerTLS
from yinxin.wiring import Service


def periodic_jobs(service: Service) -> tuple[Job, ...]:
    """Return the jobs of which one node of a cluster does each."""
    ground = service.ground
    return (
        Job("crl-refresh", 15, service.crls.refresh),
        Job(
            "audit-checkpoint",
            ground.settings.audit.checkpoint_seconds,
            lambda: ground.audit.checkpoint(service.audit_key),
        ),
        Job("proposals", 30, ground.control.resume),
        Job("ocsp-delegates", 3600, service.ensure_delegates),
        Job(
            "km-refill",
            ground.settings.key_management.refill_seconds,
            service.key_management.centre.refill,
        ),
        Job(
            "km-retire",
            ground.settings.key_management.refill_seconds,
            service.key_management.pairs.retire_ended,
        ),
        Job("purge", 60, lambda: purge_all_expired(ground.database, now=ground.clock.now())),
    )


def local_jobs(tls: ServerTLS) -> tuple[Job, ...]:
    """Return the jobs that every node does for itself."""
    return (Job("tls-renewal", 3600, tls.renew),)
