"""Making answers: signed in the lane of their issuer, and taken into the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from ca.store import CertificateStatus
from core.clock import Clock
from core.errors import TrustError, Unavailable
from crl.config import OCSPConfig
from crl.ocsp.answer import Answer
from crl.ocsp.block import read_header
from crl.ocsp.issuers import Known
from crl.ocsp.lanes import Lane
from crl.ocsp.layout import answer_key, certificate_tail
from crl.ocsp.localstatus import NOT_HEARD, LocalStatus
from crl.ocsp.newanswer import new_answer
from crl.ocsp.pulse import Pulse
from crl.ocsp.request import OCSPRequest, parse_request
from crl.ocsp.responder import Responder
from crl.ocsp.store import StatusStore
from crl.ocsp.tally import place_of

log = logging.getLogger(__name__)

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Made:
    """An answer that was made, for everybody or for this asker alone."""

    block: bytes | None
    """As it is in the store (`crl.ocsp.block`)."""
    octets: bytes
    """The end of the response, which is not in the block; without a block, all of it."""
    count: int
    """Where it is counted (`crl.ocsp.tally`)."""


Done = Callable[[Made | Exception], None]
"""Takes the answer, or what `Responder.answer` raises."""

_Looked = tuple[int, CertificateStatus]
"""Ticket and status of a certificate, of one moment."""

Peeked = Callable[[Collection[int] | Exception], None]
"""Takes the serial numbers that the log has and the store may not have."""


class Signing(Protocol):
    """Where answers are made that are not in the store. To be used from one event loop."""

    def make(self, octets: bytes, done: Done, *, request: OCSPRequest | None = None) -> None:
        """Answer a request; `done` is called once, in the event loop, perhaps at once.

        `request`: the same octets, if they were decoded before.
        """
        ...

    def peek(self, done: Peeked) -> None:
        """Read the status log to its end; `done` is called once, later than this returns.

        With the serial numbers that the store may not have yet (`LogFollower.peek`), or with
        `Unavailable` when the log cannot be read.
        """
        ...

    def refresh(self, octets: bytes) -> None:
        """Have the answer to a request made anew, some time soon, if there is room for it."""
        ...


class LocalSigning:
    """`Signing` in threads of this process."""

    def __init__(
        self,
        responder: Responder,
        statuses: LocalStatus,
        store: StatusStore,
        pulse: Pulse,
        *,
        peek: Callable[[], Collection[int]],
        config: OCSPConfig,
        clock: Clock,
    ) -> None:
        """`responder` signs what `statuses` says, which is what `store` has.

        `peek`: `LogFollower.peek`. How many wait is noted in `pulse`.
        """
        self._pulse = pulse
        self._peek = peek
        self._responder = responder
        self._statuses = statuses
        self._store = store
        self._config = config
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._log = Lane("status-log", threads=1)

    def make(self, octets: bytes, done: Done, *, request: OCSPRequest | None = None) -> None:
        try:
            made = self._begin(request or parse_request(octets), done)
        except Exception as error:  # noqa: BLE001 - given to whoever asked
            done(error)
        else:
            if made is not None:
                done(made)

    def peek(self, done: Peeked) -> None:
        heard = self._statuses.is_heard()
        if not (heard and self._log.start(self._peek, done)):
            asyncio.get_running_loop().call_soon(done, Unavailable(NOT_HEARD))

    def refresh(self, octets: bytes) -> None:
        request = parse_request(octets)
        issuer = self._responder.issuer_of(request)

        making = _Making(self, issuer, request, None)
        self._lane(issuer).start(making.run, _note_failure, spare=True)

    def close(self) -> None:
        """Drop what waits for a signature."""
        for lane in (self._log, *self._lanes.values()):
            lane.close()

    def _begin(self, asked: OCSPRequest, done: Done) -> Made | None:
        """Return what the store has, if that is what is to be given; or begin to make it."""
        issuer = self._responder.issuer_of(asked)
        request = self._responder.admit(asked)
        if asked.nonce is not None and request.nonce is None:
            stored = self._stored(issuer, request)
            if stored is not None:
                return stored
        spare, looked = self._look(issuer, request)
        making = _Making(self, issuer, request, looked)
        if not self._lane(issuer).start(making.run, done, spare=spare):
            raise Unavailable(f"{issuer.name}: too many answers wait for a signature")
        return None

    def _look(self, issuer: Known, request: OCSPRequest) -> tuple[bool, _Looked | None]:
        """Return whether its signature can be done without, and its status if it is one's.

        The thread need not look then: each look there costs it and the loop a turn of Python's
        lock. It is no older for that: who can be done without is begun at once, and what is kept
        is compared once more (`_keep`).
        """
        if len(request.cert_ids) != 1:
            tickets = [self._store.ticket(issuer.name, one.serial) for one in request.cert_ids]
            return request.nonce is not None or 0 in tickets, None
        ticket, found = self._statuses.look(issuer.name, request.cert_ids[0].serial)
        looked = None if found is None else (ticket, found)
        return request.nonce is not None or looked is None, looked

    def sign(self, issuer: Known, request: OCSPRequest, looked: _Looked | None) -> Made:
        """Make an answer, in any thread. Raises `Unavailable` and `NotFound`.

        `looked`: ticket and status of its one certificate, if they were read a moment ago.
        """
        for _ in range(_ATTEMPTS):
            found: CertificateStatus | None = None
            if looked is not None:
                ticket, found = looked
                looked = None
            else:
                serial = request.cert_ids[0].serial
                # Before the status is read: a revocation between the two must not be overwritten.
                ticket = self._statuses.ticket(issuer.name, serial)
            answer = self._responder.answer_for(issuer, request, found=found)
            if not answer.cacheable:
                return Made(None, answer.der, self._signed(issuer, answer))
            made = self._keep(issuer, request, answer, ticket)
            if made is not None:
                return made
        raise Unavailable("the status changes faster than it can be signed")

    def _stored(self, issuer: Known, request: OCSPRequest) -> Made | None:
        """Return what the store has for one CertID, whatever else was asked for with it."""
        cert_id, number = request.cert_ids[0], self._store.parties.number_of(issuer.name)
        if number is None or len(request.cert_ids) != 1:
            return None
        key = answer_key(cert_id.der, number, cert_id.serial)
        _, block = (0, None) if key is None else self._store.find_answer(key)
        if block is None:
            return None
        header, now = read_header(block), int(self._clock.now().timestamp())
        certificate = self._store.parties.responders().get(header.responder)
        if certificate is None or not header.produced_at <= now < header.until:
            return None
        count = place_of(number, header.said, stored=True)
        return Made(block, certificate_tail(certificate, (issuer,)), count)

    def _keep(
        self, issuer: Known, request: OCSPRequest, answer: Answer, ticket: int
    ) -> Made | None:
        """Take an answer into the store. None: it says what does not hold any more."""
        (cert_id,) = request.cert_ids
        number = self._store.parties.number_of(issuer.name)
        count = self._signed(issuer, answer)
        key = None if number is None else answer_key(cert_id.der, number, cert_id.serial)
        if key is None or ticket == 0:
            found = self._store.ticket(issuer.name, cert_id.serial)
            return Made(None, answer.der, count) if found == ticket else None
        tail = certificate_tail(answer.responder, (issuer,))
        new = new_answer(
            answer,
            key,
            tail=tail,
            responder=self._store.parties.responder_number(answer.responder),
            ticket=ticket,
            config=self._config,
            now=self._clock.now(),
        )
        try:
            kept = self._store.put_answer(new)
        except TrustError:
            # A full disk, say. It is as good as one in the store if its status still holds.
            log.exception("an OCSP answer cannot be stored")
            kept = self._store.ticket(issuer.name, cert_id.serial) == ticket
        return Made(new.octets, tail, count) if kept else None

    def _signed(self, issuer: Known, answer: Answer) -> int:
        number = self._store.parties.number_of(issuer.name) or 0
        return place_of(number, answer.said, stored=False)

    def _lane(self, issuer: Known) -> Lane:
        lane = self._lanes.get(issuer.name)
        if lane is None:
            number = self._store.parties.number_of(issuer.name) or 0
            note = partial(self._pulse.note_waiting, number)
            lane = self._lanes[issuer.name] = Lane(issuer.name, note=note)
        return lane


class _Making:
    """One answer that is to be made, for a thread."""

    __slots__ = ("_issuer", "_looked", "_request", "_signing")

    def __init__(
        self,
        signing: LocalSigning,
        issuer: Known,
        request: OCSPRequest,
        looked: _Looked | None,
    ) -> None:
        self._signing = signing
        self._issuer = issuer
        self._request = request
        self._looked = looked

    def run(self) -> Made:
        return self._signing.sign(self._issuer, self._request, self._looked)


def _note_failure(result: Made | Exception) -> None:
    """Record that one was not made anew; the answer that is there serves until its end."""
    if isinstance(result, Exception):
        log.error("an OCSP answer cannot be made anew", exc_info=result)
