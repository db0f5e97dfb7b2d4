"""Making one CRL: number, content, signature, publication."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from ca.distribution import Scope, scope_of, scopes_of
from ca.issuer import Issuer
from ca.store import Changed, StatusSource
from core import der
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import BackendUnavailable, Conflict, InvalidSignature, Refused
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from crl.config import CRLConfig
from crl.entries import encode_entry, encode_removal
from crl.following import drop_ended, follow
from crl.store import CRLHead, CRLRecord, CRLStore, PartitioningStore, SegmentStore
from crl.tbs import CRLContent, encode_tbs
from keystore.verify import verify_signature

_ATTEMPTS: Final = 10
_AT_ONCE: Final = 50_000


@dataclass(frozen=True, slots=True)
class _Lines:
    """What goes into a CRL, and up to where it is true."""

    position: int
    entries: int
    octets: bytes
    base: int | None = None


@dataclass(frozen=True, slots=True)
class CRLGenerator:
    """Signs and publishes CRLs. Safe to share between threads."""

    source: StatusSource
    store: CRLStore
    segments: SegmentStore
    partitionings: PartitioningStore
    config: CRLConfig
    transactions: Transactions
    audit: AuditLog
    clock: Clock

    def scopes(self, issuer: Issuer) -> tuple[Scope, ...]:
        """Return what the issuer has a CRL for: all its certificates, each partition, or both."""
        known = self.partitionings.list_partitionings(issuer.name)
        parts = (one for number in known if number > 1 for one in scopes_of(issuer.name, number))
        return tuple(one for one in (Scope(issuer.name), *parts) if self.has(one, known))

    def has(self, scope: Scope, known: Mapping[int, Sequence[str]] | None = None) -> bool:
        """Whether there is a CRL for this scope. `known`: the partitionings of its issuer."""
        if known is None:
            known = self.partitionings.list_partitionings(scope.issuer)
        if scope.partitions in known:
            return True
        if scope.partitions > 1:
            return False
        # Certificates that point to the full CRL need it; otherwise it is there for people.
        return not known or self.segments.count_lines(scope.issuer) <= self.config.full_entries

    def follow(self, issuer: str) -> int:
        """Take every change of the issuer into the lines. Return the position covered."""
        return follow(
            issuer, source=self.source, store=self.segments, transactions=self.transactions
        )

    def complete(self, issuer: Issuer, scope: Scope) -> CRLRecord:
        """Sign and publish a CRL that covers every revocation known when this was called.

        The number is durable before the key is used, so no two CRLs ever share one; a crash leaves
        a gap, which RFC 5280, 5.2.3 allows. When another thread or node published a CRL meanwhile
        that covers as much, that one is returned and ours is dropped.

        Raises `Refused` past the end of the issuer, `Conflict` if the clock went backwards, and
        `Unavailable` if the key, the database or the audit log cannot be reached.
        """
        return self._make(issuer, scope, lambda: self._all_lines(issuer, scope), delta=False)

    def delta(self, issuer: Issuer, scope: Scope) -> CRLRecord:
        """Do the same for the delta CRL: what changed since the oldest CRL that is still valid.

        Whoever holds any valid CRL of this scope can add it (RFC 5280, 5.2.4). Raises `Conflict`
        while there is no complete CRL.
        """
        return self._make(issuer, scope, lambda: self._changed_lines(scope), delta=True)

    def _make(
        self, issuer: Issuer, scope: Scope, lines: Callable[[], _Lines], *, delta: bool
    ) -> CRLRecord:
        wanted = self.source.revocation_position(issuer.name)
        before = self.store.find_head(scope.name, delta=delta)
        for _ in range(_ATTEMPTS):
            record = self._sign(issuer, scope, lines())
            try:
                with self.transactions.transaction():
                    self.store.publish(record)
                    self.audit.record("crl.published", actor=SYSTEM_ACTOR, detail=_detail(record))
            except Conflict:
                current = self.store.find_current(scope.name, delta=delta)
                if current is None or (before is not None and current.number == before.number):
                    raise  # nobody was faster: the clock went backwards
                if current.position >= wanted:
                    return current
                before = current
                continue
            return record
        raise Conflict(f"the CRL of {scope.name} cannot be published: there is always a newer one")

    def _sign(self, issuer: Issuer, scope: Scope, lines: _Lines) -> CRLRecord:
        certificate = x509.load_der_x509_certificate(issuer.certificate)
        not_after = certificate.not_valid_after_utc
        identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        # The time after the lines: nothing that is listed happened after thisUpdate.
        now = self.clock.now()
        if now >= not_after:
            raise Refused(f"the certificate of {issuer.name} has ended; it signs no CRL any more")
        content = CRLContent(
            issuer=issuer.subject,
            issuer_key_identifier=identifier.value.digest,
            algorithm=issuer.signer.algorithm.identifier,
            # Seconds since 1970 as the lower bound keep the number growing over a database that
            # was restored from a backup, where the last numbers drawn are forgotten.
            number=self.store.reserve_number(scope.name, at_least=int(now.timestamp())),
            this_update=now,
            next_update=min(now + self._validity(lines.base), not_after),
            entries=lines.octets,
            distribution_points=self._points(issuer, scope),
            freshest=self._freshest(issuer, scope) if lines.base is None else (),
            base=lines.base,
        )
        tbs = encode_tbs(content)
        signature = issuer.signer.sign(tbs)
        try:
            verify_signature(issuer.spki, issuer.signer.algorithm, tbs, signature)
        except InvalidSignature as error:
            raise BackendUnavailable(f"the key of {issuer.name} makes wrong signatures") from error
        return CRLRecord(
            scope=scope.name,
            number=content.number,
            this_update=content.this_update,
            next_update=content.next_update,
            position=lines.position,
            entries=lines.entries,
            base=lines.base,
            der=der.signed_object(tbs, content.algorithm, signature),
        )

    def _all_lines(self, issuer: Issuer, scope: Scope) -> _Lines:
        # The position first: a revocation in between is then listed, and covered once more later.
        position = self.follow(issuer.name)
        heads = self.store.list_heads(issuer.name)
        if all(one.name in heads for one in self.scopes(issuer)):
            # RFC 5280, 3.3: an entry stays until one CRL was made after the certificate ended.
            drop_ended(
                issuer.name,
                min(head.this_update for head in heads.values()),
                store=self.segments,
                transactions=self.transactions,
            )
        entries, octets = self.segments.join_lines(scope)
        return _Lines(position, entries, octets)

    def _changed_lines(self, scope: Scope) -> _Lines:
        base = self.store.find_base(scope.name, valid_at=self.clock.now())
        if base is None:
            raise Conflict(f"{scope.name} has no CRL that a delta CRL could add to")
        position = self.source.revocation_position(scope.issuer)
        changed = self._changes(scope, base)
        octets = b"".join(
            encode_entry(one.entry) if one.entry is not None else encode_removal(one.serial, one.at)
            for one in changed.values()
        )
        return _Lines(position, len(changed), octets, base.number)

    def _changes(self, scope: Scope, base: CRLHead) -> Mapping[int, Changed]:
        found: dict[int, Changed] = {}
        at = base.position
        while some := self.source.list_changed(scope.issuer, after=at, limit=_AT_ONCE):
            for one in some:
                if scope_of(scope.issuer, one.serial, scope.partitions) == scope:
                    found[one.serial] = one
            at = some[-1].position
        return found

    def _points(self, issuer: Issuer, scope: Scope) -> Sequence[str]:
        if scope.partitions == 1:
            return ()  # it speaks of all certificates
        known = self.partitionings.list_partitionings(issuer.name)
        return [f"{url}/{scope.path}" for url in known[scope.partitions]]

    def _freshest(self, issuer: Issuer, scope: Scope) -> Sequence[str]:
        if not self.config.delta:
            return ()
        return [f"{issuer.revocation_url}/{scope.delta_path}"]

    def _validity(self, base: int | None) -> timedelta:
        config = self.config
        hours = config.validity_hours if base is None else config.delta_validity_hours
        return timedelta(hours=hours)


def renewed_at(head: CRLHead, config: CRLConfig) -> datetime:
    """Return when a CRL is made again even if nothing changed."""
    # Near the end of the issuer a CRL is shorter than configured: then half of it counts.
    half = (head.next_update - head.this_update) / 2
    if head.base is None:
        half = min(half, timedelta(hours=config.refresh_hours))
    return head.this_update + half


def _detail(record: CRLRecord) -> Detail:
    detail: dict[str, str | int | bool | None] = {
        "issuer": record.scope,
        "number": record.number,
        "entries": record.entries,
        "this_update": record.this_update.isoformat(),
        "next_update": record.next_update.isoformat(),
    }
    if record.base is not None:
        detail["base"] = record.base
    return detail
