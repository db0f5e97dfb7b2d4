"""Answering one OCSP request (RFC 6960, RFC 5019 and RFC 9919). Knows nothing of HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from ca.store import CertificateStatus
from core.clock import Clock
from core.errors import Malformed, NotFound, TooLarge, TrustError, Unavailable
from crl.config import NoncePolicy, OCSPConfig
from crl.ocsp.answer import Answer
from crl.ocsp.budget import Budget
from crl.ocsp.delegate import Delegate, DelegateSource
from crl.ocsp.issuers import IssuerTable, Known
from crl.ocsp.request import CertID, OCSPRequest, parse_request
from crl.ocsp.response import (
    Refusal,
    ResponseContent,
    Single,
    encode_response,
    encode_response_data,
)
from crl.ocsp.tally import said_by
from crl.status import Standing, Status, StatusService

_REFUSAL_OF_ERROR: tuple[tuple[type[TrustError], Refusal], ...] = (
    (Malformed, Refusal.MALFORMED_REQUEST),
    (TooLarge, Refusal.MALFORMED_REQUEST),
    (NotFound, Refusal.UNAUTHORIZED),
    (Unavailable, Refusal.TRY_LATER),
)

QUIET: Final = frozenset({Refusal.MALFORMED_REQUEST, Refusal.UNAUTHORIZED})
"""What the one who asks is the reason of; strangers must not be able to fill the log."""

_UNKNOWN_HOLDS: Final = timedelta(minutes=5)
"""An answer `unknown`: no cache may keep it, and another node may be issuing that very number."""


def refusal_of(error: TrustError) -> Refusal:
    """Return the OCSP status that says `error`, and nothing more."""
    return next(
        (refusal for kind, refusal in _REFUSAL_OF_ERROR if isinstance(error, kind)),
        Refusal.INTERNAL_ERROR,
    )


class Responder:
    """Answers for the issuers of this service. Safe to share between threads."""

    def __init__(
        self,
        issuers: IssuerTable[Known],
        delegates: DelegateSource,
        statuses: StatusService,
        *,
        config: OCSPConfig,
        clock: Clock,
        last_produced: datetime | None = None,
    ) -> None:
        """`last_produced`: when the latest answer was signed that this host knows of."""
        self._issuers = issuers
        self._delegates = delegates
        self._statuses = statuses
        self._config = config
        self._clock = clock
        self._nonces = Budget(config.nonces_per_second)
        self._unknowns = Budget(config.unknown_per_second)
        self._lock = Lock()
        self._last_produced = last_produced

    def answer(self, octets: bytes) -> Answer:
        """Return the signed answer to a request.

        Raises `Malformed` and `TooLarge` for what is not a request we take, `NotFound` for an
        issuer or a serial number that is not ours, and `Unavailable` when nothing can be signed.
        """
        request = parse_request(octets)
        issuer = self.issuer_of(request)
        return self.answer_for(issuer, self.admit(request))

    def admit(self, request: OCSPRequest) -> OCSPRequest:
        """Apply the policy of nonces: return what is to be answered. Reads no database.

        Raises `NotFound` for one without a nonce where the policy requires it, `Unavailable` when
        it may not be answered without one and the budget is spent.
        """
        policy = self._config.nonce
        if request.nonce is None:
            if policy is NoncePolicy.REQUIRE:
                raise NotFound("this service answers only who sends a nonce (ocsp.nonce)")
            return request
        if policy is not NoncePolicy.IGNORE and self._nonces.take():
            return request
        if policy is NoncePolicy.REQUIRE:
            raise Unavailable("more nonces than ocsp.nonces_per_second are waiting")
        # RFC 9654, 2.1 leaves it to us: an answer without its nonce is better than none.
        return replace(request, nonce=None)

    def answer_for(
        self, issuer: Known, request: OCSPRequest, *, found: CertificateStatus | None = None
    ) -> Answer:
        """Return the signed answer to a request whose issuer `issuer_of` found.

        `found`: the status of its one certificate, if it was read a moment ago.
        """
        now = self._clock.now()
        delegate = self._delegates.current(issuer, now)
        if found is None:
            singles = [self._single(issuer.name, cert_id) for cert_id in request.cert_ids]
        else:
            (cert_id,) = request.cert_ids
            singles = [self._said(cert_id, self._statuses.standing_of(found))]
        return self._sign(delegate, singles, request.nonce, now)

    def issuer_of(self, request: OCSPRequest) -> Known:
        """Return the one issuer that is asked. Raises `NotFound`. Reads no database."""
        found = [self._issuers.find(cert_id) for cert_id in request.cert_ids]
        # One answer has one signer, and a delegated responder speaks for one issuer only
        # (RFC 6960, 4.2.2.2), so CertIDs of two issuers cannot be answered together.
        issuer = found[0]
        if issuer is None or any(other is not issuer for other in found):
            raise NotFound("the request is not for one issuer of this service")
        return issuer

    def _single(self, issuer: str, cert_id: CertID) -> Single:
        return self._said(cert_id, self._statuses.standing(issuer, cert_id.serial))

    def _said(self, cert_id: CertID, standing: Standing) -> Single:
        if standing.status is Status.WITHHELD or (
            # docs/decisions/0010: few signatures for who guesses serial numbers.
            standing.status is Status.UNKNOWN and not self._unknowns.take()
        ):
            raise NotFound("the serial number was not issued by this issuer")
        return Single(cert_id.der, standing)

    def _sign(
        self, delegate: Delegate, singles: list[Single], nonce: bytes | None, now: datetime
    ) -> Answer:
        self._check_clock(now)
        this_update = self._this_update(singles, now)
        unknown = any(_is_unknown(one) for one in singles)
        validity = _UNKNOWN_HOLDS if unknown else timedelta(hours=self._config.validity_hours)
        content = ResponseContent(
            responder_id=delegate.responder_id,
            produced_at=now,
            this_update=this_update,
            next_update=min(this_update + validity, delegate.usable_until),
            singles=singles,
            archive_cutoff=now - timedelta(hours=self._config.retention_hours),
            nonce=nonce,
        )
        tbs = encode_response_data(content)
        return Answer(
            der=encode_response(
                tbs,
                delegate.signer.algorithm.identifier,
                delegate.signer.sign(tbs),
                delegate.certificate if delegate.embedded else None,
            ),
            produced_at=now,
            this_update=this_update,
            next_update=content.next_update,
            until=min(
                [content.next_update]
                + [s.standing.until for s in singles if s.standing.until is not None]
            ),
            cacheable=nonce is None and len(singles) == 1 and not unknown,
            said=said_by(one.standing.status for one in singles),
            responder=delegate.certificate,
        )

    def _this_update(self, singles: list[Single], now: datetime) -> datetime:
        # In the past, for clients whose clock is behind; but an answer must not claim that a
        # revocation, or the release from a hold, held before it happened.
        backdated = now - timedelta(seconds=self._config.backdate_seconds)
        changes = [s.standing.since or s.standing.revoked_at for s in singles]
        return min(now, max([backdated, *(change for change in changes if change is not None)]))

    def _check_clock(self, now: datetime) -> None:
        # A machine that woke up in its own past would sign answers that say what held then.
        skew = timedelta(seconds=self._config.clock_skew_seconds)
        with self._lock:
            last = self._last_produced
            if last is not None and now < last - skew:
                raise Unavailable(
                    f"the clock says {now.isoformat()}, and an answer was signed at "
                    f"{last.isoformat()}: nothing is signed until it catches up"
                )
            self._last_produced = now if last is None else max(last, now)


def _is_unknown(single: Single) -> bool:
    return single.standing.status is Status.UNKNOWN
