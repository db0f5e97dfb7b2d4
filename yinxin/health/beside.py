"""Checks of hosts beside an authority: a key management centre, and a registration authority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ca.sqldesk import SQLDeskStore
from ca.sqlorganisations import SQLOrganisationStore
from core.errors import Misconfigured, Refused
from core.peer import key_fingerprint
from keystore import keyref
from keystore.escrow.sqlstore import SQLEscrowStore
from keystore.escrow.store import KeyState
from keystore.registry import KeyStore
from keystore.storagekey import StorageKey
from yinxin.health.authority import late_jobs
from yinxin.health.findings import Check, Fault, Level
from yinxin.host_identity import HOST_KEY, fingerprint_of, read_identity
from yinxin.jobs import COMMON
from yinxin.wiring import Ground

_CERTIFICATE_WARNING: Final = timedelta(days=30)
_CERTIFICATE_CRITICAL: Final = timedelta(days=7)
_OUTBOX_LATE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Beside:
    """What such a host is looked at by: nothing is made or changed."""

    ground: Ground
    keystore: KeyStore


def _host_certificate(host: Beside) -> Sequence[Fault]:
    try:
        identity = read_identity(host.ground.state)
    except (Misconfigured, Refused) as error:
        return (Fault(Level.CRITICAL, str(error)),)
    key, left = host.keystore.find(HOST_KEY), identity.not_after - host.ground.clock.now()
    if key is None or key_fingerprint(identity.certificate) != fingerprint_of(key):
        return (Fault(Level.CRITICAL, "the key of this host is not the one that is certified"),)
    says = f"the certificate of this host ends on {identity.not_after:%Y-%m-%d}"
    if left < _CERTIFICATE_CRITICAL:
        return (Fault(Level.CRITICAL, says),)
    return (Fault(Level.WARNING, says),) if left < _CERTIFICATE_WARNING else ()


def _storage_key(host: Beside) -> Sequence[Fault]:
    ref = keyref.parse(host.ground.settings.key_management.storage_key)
    key = StorageKey(host.keystore, ref)
    if not key.exists():
        return (Fault(Level.CRITICAL, f"the storage key {ref} is not there"),)
    try:
        key.require_opens()
    except Misconfigured as error:
        return (Fault(Level.CRITICAL, str(error)),)
    store = SQLEscrowStore(host.ground.database)
    left = sum(store.count_keys().values()) - store.count_under(ref)
    if left:
        return (Fault(Level.WARNING, f"{left} keys are under an older storage key than {ref}"),)
    return ()


def _pool(host: Beside) -> Sequence[Fault]:
    waiting = SQLEscrowStore(host.ground.database).count_keys().get(KeyState.STANDBY, 0)
    minimum = host.ground.settings.key_management.standby_minimum
    if waiting >= minimum:
        return ()
    level = Level.WARNING if waiting else Level.CRITICAL
    return (Fault(level, f"{waiting} keys wait, and {minimum} should"),)


def _branch(host: Beside) -> Sequence[Fault]:
    if SQLOrganisationStore(host.ground.database).find_root() is not None:
        return ()
    return (Fault(Level.CRITICAL, "the branch of the tree has never arrived"),)


def _outbox(host: Beside) -> Sequence[Fault]:
    late = host.ground.clock.now() - _OUTBOX_LATE
    # Changes of status come first, then what was answered longest ago.
    waiting = SQLDeskStore(host.ground.database).list_sent(limit=100)
    silent = [one for one in waiting if one.answered_at is None]
    old = [one for one in silent if one.decided_at is not None and one.decided_at < late]
    if not old:
        return ()
    since = min(one.decided_at for one in old if one.decided_at is not None)
    says = f"{len(old)} or more acts were not answered, the oldest since {since:%Y-%m-%d %H:%M} UTC"
    return (Fault(Level.CRITICAL, says),)


def _centre_jobs(host: Beside) -> Sequence[Fault]:
    refill = host.ground.settings.key_management.refill_seconds
    return late_jobs(host.ground, {"km-refill": refill, **COMMON})


def _desk_jobs(host: Beside) -> Sequence[Fault]:
    registration = host.ground.settings.registration
    # With pull it brings nothing.
    pushes = registration.authority_url is not None
    rounds = {"exchange": registration.exchange_seconds} if pushes else {}
    return late_jobs(host.ground, {**rounds, **COMMON})


_HOST_CERTIFICATE: Final = Check(
    "host-certificate",
    "whether this host has its certificate, for its key, and for how long",
    "`yinxin host request`, have the authority issue it, `yinxin host install`, and restart "
    "(docs/deployment.md). The other end knows the key: nothing changes there.",
    _host_certificate,
)
CENTRE_CHECKS: Final[tuple[Check[Beside], ...]] = (
    _HOST_CERTIFICATE,
    Check(
        "storage-key",
        "whether the key under which escrowed keys are kept is there and decrypts, and no key is "
        "under an older one",
        "Reconnect the token, or restore the keystore that belongs to this database "
        "(docs/key-management.md). It is never made anew. After a change of "
        "`key_management.storage_key`: `yinxin key reseal`.",
        _storage_key,
    ),
    Check(
        "key-pool",
        "whether encryption keys wait in the standby pool",
        "Look for `job failed` with `km-refill` in the log; raise `key_management.standby_target`.",
        _pool,
    ),
    Check(
        "jobs",
        "whether each background job ran when it was due",
        "Start `yinxin serve --role km` on one node at least, and look for `job failed` in its "
        "log.",
        _centre_jobs,
    ),
)
DESK_CHECKS: Final[tuple[Check[Beside], ...]] = (
    _HOST_CERTIFICATE,
    Check(
        "branch",
        "whether the branch of the tree has come from the authority",
        "`yinxin ra add` at the authority with the key that `yinxin host key` prints here; look "
        "for `the authority was not reached` in the log.",
        _branch,
    ),
    Check(
        "outbox",
        "whether the authority answers what was reviewed here",
        "Look for `the authority was not reached` in the log here, or with pull for this host in "
        "the log of the authority; `yinxin ra list` there shows who is registered.",
        _outbox,
    ),
    Check(
        "jobs",
        "whether each background job ran when it was due",
        "Start `yinxin serve --role ra`, and look for `job failed` in its log.",
        _desk_jobs,
    ),
)
