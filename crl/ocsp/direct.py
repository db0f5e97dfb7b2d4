"""Answers signed by the CA's own key, without a delegated responder (RFC 6960, 4.2.2.2, case 1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from cryptography import x509

from ca.issuer import Issuer
from core.errors import Unavailable
from crl.ocsp.delegate import Delegate, DelegateSource
from crl.ocsp.issuers import Known


class DirectSigners:
    """`DelegateSource`: of some issuers themselves, of all others a delegated responder.

    Safe to share between threads.
    """

    def __init__(
        self, issuers: Mapping[str, Issuer], direct: Collection[str], delegates: DelegateSource
    ) -> None:
        """`issuers`: alive; `direct`: names of those who sign themselves."""
        self._issuers = issuers
        self._direct = frozenset(direct)
        self._delegates = delegates

    def current(self, issuer: Known, now: datetime) -> Delegate:
        """Return who signs for `issuer`. Raises `Unavailable` when there is nobody."""
        if issuer.name not in self._direct:
            return self._delegates.current(issuer, now)
        own = self._issuers.get(issuer.name)
        if own is None:
            raise Unavailable(f"the key of {issuer.name} is not here to sign OCSP answers")
        ends = x509.load_der_x509_certificate(own.certificate).not_valid_after_utc
        if now >= ends:
            raise Unavailable(f"{issuer.name} has ended and signs no OCSP answers")
        return Delegate(own.certificate, own.signer, ends, embedded=False)
