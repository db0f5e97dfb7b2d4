"""What holders do by themselves, with nothing but their key (自助服务).

Proof is the certificate with which TLS authenticated them, or a CSR signed with the same key; the
second renews and nothing else, because it says nothing about who sent it (docs/decisions/0075).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ca.csr import CSR, parse_csr
from ca.history import HistoryService
from ca.keycheck import spki_fingerprint
from ca.likeness import signing_half
from ca.operations import Operation
from ca.pickup import AddressThrottle
from ca.replacement import Replacement, ReplacementService
from ca.requests import EnrollmentRecord, is_encryption_request, request_of
from ca.serials import to_hex
from ca.statusrequests import StatusRequests
from ca.store import CertificateRecord, CertificateState, CertificateStore
from core.clock import Clock
from core.errors import Conflict, Forbidden, NotFound, Unauthenticated
from keystore.escrow.store import Recovery


class HolderDesk:
    """Serves holders."""

    def __init__(
        self,
        *,
        certificates: CertificateStore,
        replacements: ReplacementService,
        statuses: StatusRequests,
        history: HistoryService,
        throttle: AddressThrottle,
        accept_empty_sm2_id: bool,
        clock: Clock,
    ) -> None:
        self._certificates = certificates
        self._replacements = replacements
        self._statuses = statuses
        self._history = history
        self._throttle = throttle
        self._accept_empty_sm2_id = accept_empty_sm2_id
        self._clock = clock

    def renew(self, shown: bytes, csr: bytes | None) -> EnrollmentRecord:
        """Renew the certificate that TLS was shown: its key, or the new one of the CSR.

        May be repeated: it returns the request there is. Raises `Refused` outside of the window.
        """
        old = self._find(shown)
        brought = None if csr is None else self._csr(csr)
        key = None if brought is None else brought.spki
        known = self._replacements.find_successor(old)
        if known is not None:
            wanted = old.spki_fingerprint if key is None else spki_fingerprint(key)
            return _of_this_key(known, wanted)
        self._require_valid(old)
        if brought is None or key is None or spki_fingerprint(key) == old.spki_fingerprint:
            return self._replace(old, Replacement(Operation.RENEW))
        self._replacements.check_window(old)
        return self._replace(
            old, Replacement(Operation.REKEY, key, temporary_key=brought.temporary_key)
        )

    def renew_by_key(
        self, issuer: str, serial: int, csr: bytes, *, address: str
    ) -> EnrollmentRecord:
        """Renew a certificate for who has its key, without TLS. The key stays.

        For SM2 holders, whose certificates no common TLS library shows. May be repeated. Raises
        `Throttled`, and `Forbidden` for another key or no such certificate.
        """
        self._throttle.charge(address)
        key = self._csr(csr).spki
        found = self._certificates.find_certificate(issuer, serial)
        old = None if found is None else signing_half(self._certificates, found)
        if old is None or old.spki_fingerprint != spki_fingerprint(key):
            raise Forbidden("the CSR is not signed with the key of such a certificate")
        self._throttle.refund(address)
        known = self._replacements.find_successor(old)
        if known is not None:
            return _of_this_key(known, old.spki_fingerprint)
        return self._replace(old, Replacement(Operation.RENEW))

    def certificates(self, shown: bytes) -> Sequence[CertificateRecord]:
        """Return the holder's certificates, newest first."""
        own = self._find(shown)
        self._require_valid(own)
        return self._history.of_same_holder(own)

    def recoveries(self, shown: bytes, issuer: str, serial: int) -> Sequence[Recovery]:
        """Return every recovery of the key of a certificate of the holder, newest first."""
        _, wanted = self._require_mine(shown, issuer, serial)
        return self._history.recoveries(wanted)

    def report_lost(self, shown: bytes, issuer: str, serial: int) -> EnrollmentRecord:
        """Freeze a certificate of the holder at once; an operator looks at it afterwards."""
        own, _ = self._require_mine(shown, issuer, serial)
        return self._statuses.report_lost(issuer, serial, actor=_name(own))

    def _require_mine(
        self, shown: bytes, issuer: str, serial: int
    ) -> tuple[CertificateRecord, CertificateRecord]:
        """Return the certificate that was shown, and the one that is meant."""
        own = self._find(shown)
        self._require_valid(own)
        for one in self._history.of_same_holder(own):
            if (one.issuer, one.serial) == (issuer, serial):
                return own, one
        # As if it did not exist: whose certificates there are is nobody else's business.
        raise NotFound(f"you have no certificate {to_hex(serial)} of {issuer}")

    def _find(self, shown: bytes) -> CertificateRecord:
        found = self._certificates.find_by_fingerprint(hashlib.sha256(shown).hexdigest())
        if found is None:
            raise Unauthenticated("the client certificate is not one of this authority")
        if found.request_id is not None and is_encryption_request(found.request_id):
            # Its key is escrowed: whoever had it recovered could show it.
            raise Forbidden("show the signing certificate of the pair, not the encryption one")
        return found

    def _require_valid(self, record: CertificateRecord) -> None:
        if record.state is not CertificateState.ISSUED:
            raise Forbidden(f"the client certificate is {record.state}")
        if not record.not_before <= self._clock.now() <= record.not_after:
            raise Forbidden(f"the client certificate ended on {record.not_after:%Y-%m-%d}")

    def _csr(self, csr: bytes) -> CSR:
        return parse_csr(csr, accept_empty_sm2_id=self._accept_empty_sm2_id)

    def _replace(self, old: CertificateRecord, wanted: Replacement) -> EnrollmentRecord:
        try:
            return self._replacements.replace(old.issuer, old.serial, wanted, actor=_name(old))
        except Conflict:
            # Of two calls at once the second finds what the first has entered.
            known = self._replacements.find_successor(old)
            if known is None:
                raise
            key = wanted.spki and spki_fingerprint(wanted.spki)
            return _of_this_key(known, key or old.spki_fingerprint)


def _of_this_key(record: EnrollmentRecord, fingerprint: str) -> EnrollmentRecord:
    spki = request_of(record).spki
    if not spki or spki_fingerprint(spki) != fingerprint:
        raise Conflict("the certificate is being replaced for another key already")
    return record


def _name(record: CertificateRecord) -> str:
    return f"holder:{record.issuer}/{to_hex(record.serial)}"
