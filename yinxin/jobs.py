"""What runs by itself, and how often."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Final

from authn import purge
from authn.assembly import Provider
from ca.selfrenewal import SelfRenewal
from core.jobs import Job, JobRunner
from crl.ocsp import upkeep
from crl.ocsp.keeper import Keeper
from yinxin import traffic
from yinxin.registrars import RegistrarDesk
from yinxin.self_signed_clients import SelfSignedClients
from yinxin.settings import Settings
from yinxin.tls import ServerTLS
from yinxin.wiring import Ground, Service

_FOLLOW_SECONDS: Final = 5
"""So much later than the first a process shows the next certificate."""
_UNDER_WAY: Final = timedelta(minutes=10)
"""Longer than signing takes, be it a portion of a batch at a slow token."""

COMMON: Final = {
    "proposals": 30,
    "signing-keys": 600,
    "session-timeouts": 15,
    "purge": purge.EVERY_SECONDS,
}
"""How often a host of any role does what, in seconds."""


def periodic_jobs(service: Service) -> tuple[Job, ...]:
    """Return the jobs of which one node of a cluster does each."""
    ground = service.ground
    return (
        Job("crl-refresh", 5, service.crls.refresh),
        Job("mass-revocation", 5, service.mass_revocations.run),
        Job("ocsp-delegates", 3600, service.ensure_delegates),
        *_refilling(service),
        *_self_renewal(service),
        Job(
            "km-retire",
            ground.settings.key_management.refill_seconds,
            service.key_management.pairs.retire_ended,
        ),
        Job("requests-settle", 30, service.operations.desks.settlement.settle_due),
        Job("counts", 5, service.counts.keep),
        # A process that was killed beside others, which go on signing.
        Job("interrupted", 600, partial(service.find_interrupted, older_than=_UNDER_WAY)),
        Job("bulk-erase", 600, service.bulk.service.erase_expired),
        *common_jobs(ground, service.provider),
    )


def common_jobs(ground: Ground, provider: Provider) -> tuple[Job, ...]:
    """Return what a host of any role does beside the purge."""
    return (
        Job("proposals", COMMON["proposals"], ground.control.resume),
        Job("signing-keys", COMMON["signing-keys"], provider.ring.destroy_gone),
        Job(
            "session-timeouts",
            COMMON["session-timeouts"],
            ground.administration.sessions.end_timed_out,
        ),
    )


def purge_while_open(stack: ExitStack, ground: Ground) -> JobRunner:
    """Return what removes what has expired, to be started: slowly, so in a thread of its own."""
    removing = purge.Purge(ground.database, clock=ground.clock)
    jobs = (Job("purge", COMMON["purge"], removing.run),)
    runner = JobRunner(ground.database, jobs, clock=ground.clock)
    stack.callback(runner.stop)
    stack.callback(removing.stop)
    return runner


def outward_jobs(service: Service) -> tuple[Job, ...]:
    """Return the jobs that wait for other people's servers, and so must not hold up the rest."""
    settings = service.ground.settings
    jobs = [Job("notices", settings.notices.every_seconds, service.notices.run)]
    if service.publication is not None:
        every = settings.publication.every_seconds
        jobs.append(Job("publication", every, service.publication.run))
    if service.mirror is not None:
        every = settings.revocation.mirror.every_seconds
        jobs.append(Job("crl-mirror", every, service.mirror.run))
    return tuple(jobs)


def _self_renewal(service: Service) -> tuple[Job, ...]:
    days = service.ground.settings.ca.renew_issuing_days
    if days is None:
        return ()
    renewal = SelfRenewal(
        days=days,
        issuers=service.issuers,
        generations=service.generations,
        profiles=service.authority.profiles,
        store=service.authority.store,
        transactions=service.authority.transactions,
        audit=service.authority.audit,
        clock=service.authority.clock,
    )
    return (Job("ca-renewal", 3600, renewal.renew),)


def _refilling(service: Service) -> tuple[Job, ...]:
    if service.key_management.local is None:
        return ()
    seconds = service.ground.settings.key_management.refill_seconds
    return (Job("km-refill", seconds, service.key_management.local.centre.refill),)


def bulk_jobs(service: Service) -> tuple[Job, ...]:
    """Return what works on batches, in a thread of its own: it may take an hour.

    Every node does it; a batch is leased by one of them.
    """
    return (Job("bulk", 1, service.bulk.worker.run),)


def local_jobs(
    service: Service, keeper: Keeper, tls: ServerTLS, self_signed: SelfSignedClients
) -> tuple[Job, ...]:
    """Return the jobs that every node does for itself."""
    return (
        *process_jobs(service, self_signed),
        Job("tls-renewal", 3600, tls.renew),
        Job("tls-revoked", 30, tls.replace_revoked),
        Job("ocsp-upkeep", upkeep.EVERY_SECONDS, keeper.upkeep.run),
    )


def following_jobs(
    service: Service, tls: ServerTLS, self_signed: SelfSignedClients
) -> tuple[Job, ...]:
    """Return the jobs of a process beside the first of a node."""
    return (*process_jobs(service, self_signed), Job("tls-renewal", _FOLLOW_SECONDS, tls.renew))


def process_jobs(service: Service, self_signed: SelfSignedClients) -> tuple[Job, ...]:
    """Return the jobs that every process does for itself."""
    return (
        Job("issuers", 10, service.issuers.refresh),
        Job("self-signed-clients", 30, self_signed.refresh),
        Job("link-renewal", 30, service.link.renew),
        *key_jobs(service.provider),
        Job("traffic", traffic.EVERY_SECONDS, service.traffic.sample),
    )


def key_jobs(provider: Provider) -> tuple[Job, ...]:
    """Return what makes a node use the signing keys that the clock and other nodes say."""
    return (Job("signing-keys-refresh", 5, provider.ring.refresh),)


def registrar_jobs(settings: Settings, registrars: RegistrarDesk) -> tuple[Job, ...]:
    """Return the rounds to registration authorities that do not call."""
    return (Job("registrars", settings.registration.exchange_seconds, registrars.collect),)
