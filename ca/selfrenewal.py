"""Issuing CAs that get a new certificate for the same key from a root of ours, by themselves.

Never a root, and never an issuing CA that a next generation has succeeded by then. The new
certificate says what the old one said: subject, path length, name constraints.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from ca.ceremony_plan import CAContents, build_authority, subject_of
from ca.ceremony_run import AuthorityStore, issue_planned
from ca.issuer import Issuer
from ca.issuers import Generations
from ca.profiles import CertificateProfile
from ca.serials import random_serial, to_hex
from ca.store import IssuerRecord
from ca.tbs import Extension
from core.audit import AuditLog
from core.clock import Clock
from core.errors import TrustError
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SelfRenewal:
    """Renews what ends within `days`."""

    days: int
    issuers: Mapping[str, Issuer]
    generations: Generations
    profiles: Mapping[str, CertificateProfile]
    store: AuthorityStore
    transactions: Transactions
    audit: AuditLog
    clock: Clock

    def renew(self) -> int:
        """Renew every issuing CA that is due; return how many.

        One that cannot be renewed does not stop the others; `yinxin health-check` names it.
        """
        renewed = 0
        for record in self.store.list_issuers():
            try:
                renewed += self._renew(record)
            except TrustError:
                # Recorded here: a root whose key is away must not stop the other hierarchy.
                log.exception("the issuing CA was not renewed", extra={"issuer": record.name})
        return renewed

    def _renew(self, record: IssuerRecord) -> bool:
        parent = None if record.parent is None else self.issuers.get(record.parent)
        if parent is None:
            return False
        old, now = x509.load_der_x509_certificate(record.certificate), self.clock.now()
        left = old.not_valid_after_utc - now
        if not timedelta(0) < left <= timedelta(days=self.days):
            return False  # what has ended is for people to see to
        if self.generations.succeeded(record.name, by=old.not_valid_after_utc):
            return False
        profile = self._profile(record, old)
        end = min(now + timedelta(days=profile.validity_days, seconds=-1), _end(parent))
        if end <= old.not_valid_after_utc + timedelta(days=1):
            return False  # the root itself ends: that is for people to see to
        prepared = build_authority(
            subject_of(old),
            CAContents(
                serial=random_serial(),
                not_before=max(now - timedelta(seconds=profile.backdate_seconds), _begin(parent)),
                not_after=end,
                constraints=_constraints(old),
                requester=SYSTEM_ACTOR,
                request_id=f"renewal:{record.name}:{to_hex(old.serial_number)}",
            ),
            issuer=parent,
            profile=profile,
        )
        issued = issue_planned(
            prepared,
            profile=profile,
            issuer=parent,
            store=self.store,
            transactions=self.transactions,
            audit=self.audit,
            clock=self.clock,
        )
        with self.transactions.transaction():
            if not self.store.renew_issuer(record, issued.der):
                return False
            self.audit.record(
                "issuer.renewed",
                actor=SYSTEM_ACTOR,
                detail={
                    "issuer": record.name,
                    "serial": to_hex(issued.serial),
                    "fingerprint": issued.fingerprint,
                },
            )
        return True

    def _profile(self, record: IssuerRecord, old: x509.Certificate) -> CertificateProfile:
        known = self.store.find_certificate(record.parent or "", old.serial_number)
        profile = self.profiles["issuing-ca" if known is None else known.profile]
        length = old.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        return profile.model_copy(update={"path_length": length})


def _constraints(old: x509.Certificate) -> Extension | None:
    try:
        found = old.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return None
    return Extension(oid=found.oid, critical=True, value=found.value.public_bytes())


def _begin(issuer: Issuer) -> datetime:
    return x509.load_der_x509_certificate(issuer.certificate).not_valid_before_utc


def _end(issuer: Issuer) -> datetime:
    return x509.load_der_x509_certificate(issuer.certificate).not_valid_after_utc
