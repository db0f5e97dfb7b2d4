"""Answers signed for every certificate and written as files: for a CDN, or an HSM that is offline.

A file is named by the request in base64, as it stands in the path of a GET that asks by SHA-1 and
nothing else (RFC 6960, A.1). Clients that ask in another way need a responder.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from ca.store import CertificateStatus
from core import der, oids
from core.clock import Clock
from core.errors import NotFound
from crl.ocsp.issuers import Known
from crl.ocsp.responder import Responder

_THREADS: Final = 4
_PORTION: Final = 1000


@dataclass(frozen=True, slots=True)
class Exported:
    """What one run did."""

    written: int
    kept: int
    """Files that were young enough."""


def export_answers(
    statuses: Iterable[tuple[str, int, CertificateStatus]],
    responder: Responder,
    issuers: dict[str, Known],
    directory: Path,
    *,
    validity: timedelta,
    clock: Clock,
    progress: Callable[[int], object] = lambda _: None,
) -> Exported:
    """Write the answers to `statuses` below ``directory/ocsp``, each whole or not at all.

    What was written within a quarter of `validity` and says the same is kept: a run that was
    killed goes on where it was. Raises what signing raises.
    """
    written = kept = 0
    walking = _questions(statuses, issuers, clock.now())
    with ThreadPoolExecutor(_THREADS) as pool:
        while portion := list(islice(walking, _PORTION)):
            since = clock.now() - validity / 4
            due = [one for one in portion if not _is_young(directory, one, since)]
            for done in pool.map(lambda one: _write(directory, one[0], responder), due):
                written += done
            kept += len(portion) - len(due)
            progress(written + kept)
    return Exported(written, kept)


def request_for(issuer: Known, serial: int) -> bytes:
    """Return the simplest request about a certificate, by SHA-1 (RFC 5019, 2.1.1)."""
    hashes = (
        der.encode(hashlib.sha1(octets, usedforsecurity=False).digest())
        for octets in (issuer.subject, issuer.public_key_bits)
    )
    algorithm = der.sequence(der.encode(oids.SHA1), der.NULL)
    octets = der.sequence(algorithm, *hashes, der.encode(serial))
    for _ in range(4):  # Request, requestList, TBSRequest, OCSPRequest
        octets = der.sequence(octets)
    return octets


def _questions(
    statuses: Iterable[tuple[str, int, CertificateStatus]],
    issuers: dict[str, Known],
    now: datetime,
) -> Iterator[tuple[bytes, datetime | None]]:
    for name, serial, status in statuses:
        if name in issuers and status.not_after > now:
            yield request_for(issuers[name], serial), status.changed_at


def _is_young(directory: Path, one: tuple[bytes, datetime | None], since: datetime) -> bool:
    request, changed_at = one
    try:
        at = _file(directory, request).stat().st_mtime
    except FileNotFoundError:
        return False
    return at > since.timestamp() and (changed_at is None or at > changed_at.timestamp() + 1)


def _write(directory: Path, request: bytes, responder: Responder) -> int:
    try:
        answer = responder.answer(request)
    except NotFound:
        return 0  # it ended meanwhile
    path = _file(directory, request)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(answer.der)
    temporary.replace(path)
    return 1


def _file(directory: Path, request: bytes) -> Path:
    # "/" of base64 makes directories, "//" the same as "/": a file server does the same.
    return directory / "ocsp" / b64encode(request).decode("ascii")
