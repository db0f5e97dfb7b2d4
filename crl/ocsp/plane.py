"""The OCSP data plane: which answer goes out, from memory or from a lane. Knows no sockets."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ca.issuer import Issuer
from core.clock import Clock
from core.errors import NotFound, TrustError, Unavailable
from core.observe import OCSP_ANSWERS, OCSP_READY_ANSWERS
from crl.config import NoncePolicy, OCSPConfig
from crl.ocsp.cache import Answer
from crl.ocsp.head import Head
from crl.ocsp.lanes import Lane
from crl.ocsp.path import decode_path
from crl.ocsp.ready import LOOKED_UP_ANEW, Ready, ReadyAnswers
from crl.ocsp.request import OCSPRequest, parse_request
from crl.ocsp.responder import QUIET, Responder, refusal_of
from crl.ocsp.response import Refusal
from crl.ocsp.walk import find_cert_id
from crl.ocsp.wire import MARGIN, ResponseWriter, fields_of

log = logging.getLogger(__name__)

_NONCE_SHARE: Final = 0.5
"""Of a lane's queue. Nonces cost a signature each; above it they get the answer from memory."""
_SUCCESSFUL: Final = OCSP_ANSWERS.labels("successful")
_LOG_EVERY: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Pending:
    """A request whose answer has to be looked up or signed."""

    head: Head
    issuer: Issuer
    request: OCSPRequest


class OCSPPlane:
    """Answers requests with HTTP octets. To be used from one event loop."""

    def __init__(
        self, responder: Responder, ready: ReadyAnswers, *, config: OCSPConfig, clock: Clock
    ) -> None:
        self._responder = responder
        self._ready = ready
        self._config = config
        self._clock = clock
        self._writer = ResponseWriter(clock)
        self._lanes: dict[str, Lane] = {}
        self._logged: datetime | None = None

    def respond(self, head: Head, body: bytes) -> bytes | Pending:
        """Return the whole response if it can be given at once, or what `respond_later` wants."""
        now = self._writer.now()
        try:
            octets = body if head.encoded is None else decode_path(head.encoded)
            # Who has to send a nonce gets nothing from memory.
            cert_id = None if self._config.nonce is NoncePolicy.REQUIRE else find_cert_id(octets)
            ready = None if cert_id is None else self._ready.find(cert_id, now)
            if ready is not None:
                return self._give(head, ready, now)
            return self._look_closer(head, octets, now)
        except Exception as error:  # noqa: BLE001 - translated into OCSP and recorded there
            return self._refuse(head, error, now)

    async def respond_later(self, pending: Pending) -> bytes:
        """Return the whole response, once it is looked up or signed."""
        head, request = pending.head, pending.request
        try:
            answer = await self._lane(pending.issuer).run(
                lambda: self._make(pending.issuer, request),
                share=1.0 if request.nonce is None else _NONCE_SHARE,
            )
        except Exception as error:  # noqa: BLE001 - translated into OCSP and recorded there
            now = self._writer.now()
            # RFC 9654, 2.1 leaves it to us: an answer without its nonce is better than none.
            known = None
            if isinstance(error, Unavailable) and self._config.nonce is not NoncePolicy.REQUIRE:
                known = self._find(request, now)
            if known is not None:
                return self._give(head, known, now)
            return self._refuse(head, error, now)
        now = self._writer.now()
        _SUCCESSFUL.inc()
        if not answer.cacheable:
            return self._writer.uncached(head, answer)
        return self._writer.success(head, answer, fields_of(answer, self._config, now))

    def close(self) -> None:
        """Drop what waits for a signature."""
        for lane in self._lanes.values():
            lane.close()

    def _look_closer(self, head: Head, octets: bytes, now: datetime) -> bytes | Pending:
        request = parse_request(octets)
        issuer = self._responder.issuer_of(request)
        request = self._responder.admit(request)
        if request.nonce is None:
            # Longer hashes and extensions that change nothing: still the same answer.
            ready = self._find(request, now)
            if ready is not None:
                return self._give(head, ready, now)
        return Pending(head, issuer, request)

    def _find(self, request: OCSPRequest, now: datetime) -> Ready | None:
        if len(request.cert_ids) != 1:
            return None
        return self._ready.find(request.cert_ids[0].der, now)

    def _give(self, head: Head, ready: Ready, now: datetime) -> bytes:
        if ready.claim_refresh(now):
            self._refresh(ready)
        _SUCCESSFUL.inc()
        OCSP_READY_ANSWERS.inc()
        current = now <= ready.fields_until
        fields = ready.fields if current else fields_of(ready.answer, self._config, now)
        return self._writer.success(head, ready.answer, fields)

    def _refresh(self, ready: Ready) -> None:
        """Look the status up anew behind the answer that is being given."""

        def act() -> None:
            try:
                self._make(ready.issuer, ready.request)
            except NotFound:
                # Not ours any more: an older database was put back.
                self._ready.forget(ready.issuer.name, {ready.serial})
            except Exception:  # recorded; the answer that is there serves until its end
                log.exception("an OCSP answer cannot be made anew")

        self._lane(ready.issuer).start(act, share=_NONCE_SHARE)

    def _make(self, issuer: Issuer, request: OCSPRequest) -> Answer:
        # The ticket before the status: a revocation between the two must not be overwritten.
        ticket = self._ready.ticket()
        answer = self._responder.answer_for(issuer, request)
        if answer.cacheable:
            now = self._clock.now()
            (cert_id,) = request.cert_ids
            ready = Ready(
                issuer=issuer,
                serial=cert_id.serial,
                request=request,
                answer=answer,
                fields=fields_of(answer, self._config, now),
                fields_until=answer.next_update
                - MARGIN
                - timedelta(seconds=self._config.max_age_seconds),
                refresh_at=now + LOOKED_UP_ANEW,
            )
            self._ready.put(cert_id.der, ready, ticket=ticket)
        return answer

    def _lane(self, issuer: Issuer) -> Lane:
        lane = self._lanes.get(issuer.name)
        if lane is None:
            lane = self._lanes[issuer.name] = Lane(issuer.name)
        return lane

    def _refuse(self, head: Head, error: Exception, now: datetime) -> bytes:
        refusal = Refusal.INTERNAL_ERROR
        if isinstance(error, TrustError):
            refusal = refusal_of(error)
        OCSP_ANSWERS.labels(refusal.name.lower()).inc()
        # An outage is one line a second, and not one for each who asks.
        quiet = self._logged is not None and abs(now - self._logged) < _LOG_EVERY
        if refusal not in QUIET and not quiet:
            self._logged = now
            log.error("OCSP refused", exc_info=error, extra={"refusal": refusal.name.lower()})
        return self._writer.refusal(head, refusal)
