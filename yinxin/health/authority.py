"""Checks of an authority: its certificates, keys, CRLs, OCSP signers, pools, jobs and backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from sqlalchemy import select

from ca.issuer import Issuer
from ca.store import CertificateQuery, CertificateState
from core.errors import Unavailable
from core.jobs import job_leases
from crl.sqlstore import SQLCRLStore
from keystore import keyref
from keystore.escrow.store import KeyState
from yinxin.health.findings import Check, Fault, Level
from yinxin.jobs import COMMON, outward_jobs, periodic_jobs
from yinxin.wiring import Ground, Service

_LATE_JOB: Final = timedelta(seconds=120)
_LONG_CRL: Final = 200_000
_INTERRUPTED: Final = timedelta(hours=1)


def _expiry(service: Service) -> Sequence[Fault]:
    config, now = service.ground.settings.health, service.ground.clock.now()
    faults = []
    for issuer in service.issuers.values():
        end = _end(issuer)
        left = end - now
        succeeded = service.generations.succeeded(issuer.name, by=max(end, now))
        if left > timedelta(days=config.ca_warning_days) or (succeeded and end <= now):
            continue
        if end <= now:
            faults.append(Fault(Level.CRITICAL, f"{issuer.name} ended on {end:%Y-%m-%d}"))
        elif left < timedelta(days=config.ca_critical_days) and not succeeded:
            faults.append(Fault(Level.CRITICAL, f"{issuer.name} ends on {end:%Y-%m-%d}"))
        elif not succeeded:
            faults.append(Fault(Level.WARNING, f"{issuer.name} ends on {end:%Y-%m-%d}"))
    return faults


def _keys(service: Service) -> Sequence[Fault]:
    return [
        Fault(Level.CRITICAL, f"the key of {issuer.name} is gone: {issuer.signer.key.ref}")
        for issuer in service.issuers.values()
        if service.keystore.find(issuer.signer.key.ref) is None
    ]


def _crls(service: Service) -> Sequence[Fault]:
    store, now = SQLCRLStore(service.ground.database), service.ground.clock.now()
    faults = []
    for issuer in _alive(service, now):
        heads = store.list_heads(issuer.name)
        for scope in service.crls.scopes(issuer.name):
            record = heads.get(scope.name)
            if record is None:
                faults.append(Fault(Level.CRITICAL, f"{scope.name} has no CRL"))
            elif record.next_update <= now:
                says = f"the CRL of {scope.name} ended at {record.next_update:%Y-%m-%d %H:%M} UTC"
                faults.append(Fault(Level.CRITICAL, says))
            elif now > record.this_update + 3 * (record.next_update - record.this_update) / 4:
                says = f"the CRL of {scope.name} is in its last quarter, and was not renewed"
                faults.append(Fault(Level.WARNING, says))
            elif record.entries > _LONG_CRL:
                says = (
                    f"the CRL of {scope.name} has {record.entries} entries, more than some clients "
                    "take (10 MB): divide what is issued from now on (ca.crl_partitions)"
                )
                faults.append(Fault(Level.WARNING, says))
    return faults


def _delegates(service: Service) -> Sequence[Fault]:
    store, now = SQLCRLStore(service.ground.database), service.ground.clock.now()
    faults = []
    for issuer in _alive(service, now):
        records = [one for one in store.list_delegates(issuer.name) if one.not_after > now]
        newest = max(records, key=lambda one: one.not_after, default=None)
        if newest is None:
            faults.append(Fault(Level.CRITICAL, f"{issuer.name} has no OCSP signer"))
        elif now > newest.not_before + 3 * (
            newest.not_after - newest.not_before
        ) / 4 and newest.not_after < _end(issuer) - timedelta(seconds=1):
            says = f"the OCSP signer of {issuer.name} ends on {newest.not_after:%Y-%m-%d %H:%M} UTC"
            faults.append(Fault(Level.WARNING, says))
    return faults


def _pool(service: Service) -> Sequence[Fault]:
    local, remote = service.key_management.local, service.key_management.remote
    if remote is not None:
        try:
            remote.identity()  # its pools are asked there
        except Unavailable as error:
            return (Fault(Level.CRITICAL, str(error)),)
    if local is None:
        return ()
    waiting = local.centre.count_keys().get(KeyState.STANDBY, 0)
    minimum = service.ground.settings.key_management.standby_minimum
    if waiting >= minimum:
        return ()
    level = Level.WARNING if waiting else Level.CRITICAL
    return (Fault(level, f"{waiting} keys wait, and {minimum} should"),)


def _jobs(service: Service) -> Sequence[Fault]:
    expected = (*periodic_jobs(service), *outward_jobs(service))
    every = {job.name: job.every_seconds for job in expected}
    return late_jobs(service.ground, {**COMMON, **every})


def late_jobs(ground: Ground, expected: Mapping[str, float]) -> Sequence[Fault]:
    """Return which jobs, by name and seconds, have not run for much longer than they should."""
    now = ground.clock.now()
    with ground.database.reading() as connection:
        rows = connection.execute(select(job_leases.c.name, job_leases.c.until))
        until = {row.name: row.until for row in rows}
    late = []
    for name, every in expected.items():
        allowed = _LATE_JOB + timedelta(seconds=2 * every)
        if name not in until or now > until[name] + allowed:
            late.append(name)
    return [Fault(Level.WARNING, f"not run in time: {', '.join(sorted(late))}")] if late else ()


def _backup(service: Service) -> Sequence[Fault]:
    held = [
        one
        for one in service.authority.store.list_issuers()
        if keyref.scheme_of(keyref.parse(one.key_ref)) == "software"
    ]
    if not held:
        return ()
    made = service.ground.audit.list_events(action="backup.made", limit=100_000)
    if not made:
        return (Fault(Level.WARNING, "the software keys were never backed up in shares"),)
    last, days = made[-1].at, service.ground.settings.health.backup_days
    newer = [one.name for one in held if one.created_at > last]
    faults = []
    if newer:
        faults.append(Fault(Level.WARNING, f"made since the last backup: {', '.join(newer)}"))
    if last < service.ground.clock.now() - timedelta(days=days):
        faults.append(Fault(Level.WARNING, f"the last backup is of {last:%Y-%m-%d}"))
    return faults


def _interrupted(service: Service) -> Sequence[Fault]:
    query = CertificateQuery(state=CertificateState.RESERVED)
    before = service.ground.clock.now() - _INTERRUPTED
    page = service.authority.store.search_certificates(query, limit=100)
    old = [one for one in page.items if one.reserved_at < before]
    if not old:
        return ()
    return (Fault(Level.WARNING, f"{len(old)} or more serials are reserved and not finished"),)


def _alive(service: Service, now: datetime) -> list[Issuer]:
    return [one for one in service.issuers.values() if _end(one) > now]


def _end(issuer: Issuer) -> datetime:
    return x509.load_der_x509_certificate(issuer.certificate).not_valid_after_utc


AUTHORITY_CHECKS: Final[tuple[Check[Service], ...]] = (
    Check(
        "ca-expiry",
        "how long the CA certificates hold, and whether a next generation is ready",
        "Hold a roll-over ceremony for an issuing CA, or make a new root (docs/ceremony.md); "
        "`ca.renew_issuing_days` renews issuing CAs under a root of ours by itself.",
        _expiry,
    ),
    Check(
        "ca-keys",
        "whether the key of every issuer can be reached",
        "Reconnect the token, or restore the keystore: `yinxin key restore`.",
        _keys,
    ),
    Check(
        "crl-age",
        "whether every CRL is fresh",
        "Look for `the CRL cannot be` in the log; `yinxin crl ISSUER` makes the one that is due.",
        _crls,
    ),
    Check(
        "ocsp-delegates",
        "whether every issuer has an OCSP signer, renewed in time",
        "Look for `no OCSP responder was made` in the log; a restart tries at once.",
        _delegates,
    ),
    Check(
        "key-pool",
        "whether encryption keys wait in the key management centre, or one that runs apart answers",
        "Look for `job failed` with `km-refill` in the log; raise `key_management.standby_target`. "
        "Where the centre runs apart: start it, and `yinxin health-check` there.",
        _pool,
    ),
    Check(
        "jobs",
        "whether each background job ran when it was due",
        "Start `yinxin serve` on one node at least, and look for `job failed` in its log.",
        _jobs,
    ),
    Check(
        "backup-age",
        "whether the software keys were backed up since the last one was made",
        "`yinxin key backup --out DIR`, and give the shares to their holders.",
        _backup,
    ),
    Check(
        "interrupted",
        "whether a crash left serial numbers reserved",
        "Approve the request again, which finishes it, or revoke the serial "
        "(docs/issuance-cycle.md).",
        _interrupted,
    ),
)
