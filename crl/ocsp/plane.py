"""The OCSP data plane: which answer goes out, from the store or made now. Knows no sockets."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from core.clock import Clock
from core.errors import TrustError, Unavailable
from crl.config import NoncePolicy, OCSPConfig
from crl.ocsp.block import HEADER_OCTETS, Header, read_header, unpack_header
from crl.ocsp.budget import Budget
from crl.ocsp.head import Head
from crl.ocsp.layout import is_certificates, number_in
from crl.ocsp.missing import Missing
from crl.ocsp.path import decode_path
from crl.ocsp.pulse import Pulse
from crl.ocsp.reader import AnswerReader
from crl.ocsp.recent import RecentAnswer, RecentAnswers
from crl.ocsp.request import OCSPRequest, parse_request
from crl.ocsp.responder import QUIET, refusal_of
from crl.ocsp.response import Refusal
from crl.ocsp.signing import Done, Made, Signing
from crl.ocsp.tally import Count, stored_place
from crl.ocsp.waiting import Pending, Send, Waiting
from crl.ocsp.wire import ResponseWriter, aged

log = logging.getLogger(__name__)

_LOG_EVERY: Final = timedelta(seconds=1)
_REFRESH_AGAIN_SECONDS: Final = 5
_REFRESHING: Final = 4096


class OCSPPlane:
    """Answers requests with HTTP octets. To be used from one event loop."""

    def __init__(
        self,
        reader: AnswerReader,
        signing: Signing,
        pulse: Pulse,
        *,
        config: OCSPConfig,
        clock: Clock,
        slot: int = 0,
    ) -> None:
        """`slot` is which counts of the pulse are ours."""
        self.reader = reader
        """What it sees of the store; to be asked, and not to be held."""
        self._signing = signing
        self._pulse = pulse
        self._config = config
        # Who has to send a nonce gets nothing from the store.
        self._gives_stored = config.nonce is not NoncePolicy.REQUIRE
        self._writer = ResponseWriter(clock)
        self._second = 0
        self._slot = slot
        self._counts = pulse.counts_of(slot)
        self._reloads = 0
        self.recent = RecentAnswers()
        """What came before: to be asked before `look_up`."""
        self._refreshing: dict[bytes, int] = {}
        self._logged: datetime | None = None
        # These count for each process; where one signs for all, it has its own besides.
        self._nonces = Budget(config.nonces_per_second)
        self._unknowns = Budget(config.unknown_per_second)
        self._missing = Missing(signing, self._go_on)
        self.look()

    def look(self) -> None:
        """Look whether there are other issuers or responders, and publish what was counted.

        To be called every second.
        """
        try:
            self.reader.reload()
            # It also does so by itself, for an answer of a new responder.
            if self._reloads != self.reader.reloads:
                self._reloads = self.reader.reloads
                self.recent.clear()
        except TrustError:
            log.exception("the tables of the local store cannot be read")
        self.recent.age()
        self.publish()

    def publish(self) -> None:
        """Show what was counted to all processes of this host."""
        self._pulse.count(self._slot, self._counts)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Within it, `repeat` and `look_up` see the store as it is at the beginning."""
        self.reader.hold()
        self._second = self._writer.second()
        try:
            yield
        finally:
            self._second = 0
            self.reader.let_go()

    def repeat(self, recent: RecentAnswer) -> bytes | None:
        """Return the response that was given before, if nothing at all was written since.

        None says nothing.
        """
        now = self._second or self._writer.second()
        fits = recent.begin <= now < recent.end and recent.state == self.reader.state()
        if not fits or self._pulse.distrusted:
            return None
        self._counts[recent.place] += 1
        return b"".join((self._writer.begins[recent.close], recent.rest, recent.tail))

    def look_up(self, data: bytes, key: bytes | None, *, close: bool) -> bytes | None:
        """Return the response under a key of `reader.forms`.

        It is in the store, as the store is now; None says nothing. `data` is the request as it
        came, which is remembered.
        """
        if key is None or not self._gives_stored or self._pulse.distrusted:
            return None
        now = self._second or self._writer.second()
        state, block = self.reader.find(key)
        if block is None:
            return None
        begin, until, refresh_at, fields_until, responder, _, said = unpack_header(block)
        tail = self.reader.tail_of(responder)
        if tail is None or not begin <= now < until or now > fields_until:
            return None
        if now >= refresh_at:
            self._refresh(key, self.reader.forms.request_of(key), now)
        rest, count = block[HEADER_OCTETS:], stored_place(key, said)
        if self.recent.takes(data):
            end = min(until, fields_until, refresh_at)
            self.recent[data] = RecentAnswer(state, begin, end, count, close, rest, tail)
        self._counts[count] += 1
        return b"".join((self._writer.begins[close], rest, tail))

    def respond(self, head: Head, body: bytes) -> bytes | Pending:
        """Return the whole response if it can be given at once, or what `respond_later` wants."""
        try:
            octets = body if head.encoded is None else decode_path(head.encoded)
            self._require_belief()
            request = None
            key = fallback = self.reader.forms.key_of(octets)
            if key is None:
                request = parse_request(octets)
                fallback = self.reader.key_of_request(request)
                # Extensions that change nothing: still the same answer.
                key = None if self._repeats_nonce(request) else fallback
            given = self._give(head, octets, key)
            if given is not None:
                return given
            self._require_complete()
            missing = fallback is not None and not self.reader.knows(fallback)
            if missing and request is None and not is_certificates(fallback or b""):
                # Zero, negative, or no DER, which all of it has to be.
                request, missing = parse_request(octets), False
            return Pending(head, octets, fallback, request, missing)
        except Exception as error:  # noqa: BLE001 - translated into OCSP and recorded there
            return self.refuse(head, error)

    def respond_later(self, pending: Pending, send: Send) -> bytes | None:
        """Return the whole response if there is one at once.

        None: `send` is called with it once, in the event loop, later than this returns.
        """
        waiting = Waiting(self, pending, send)
        if not pending.missing:
            return waiting.begin()
        self._missing.ask(waiting)
        return None

    def make(self, pending: Pending, done: Done) -> None:
        """Have an answer made, or refused (`Signing.make`)."""
        self._signing.make(pending.octets, done, request=pending.request)

    def finish(self, pending: Pending, made: Made | Exception) -> bytes:
        """Return the whole response with what was made, or that says why not."""
        head = pending.head
        try:
            if isinstance(made, Exception):
                # RFC 9654, 2.1 leaves it to us: an answer without its nonce is better than none.
                known = pending.key if isinstance(made, Unavailable) else None
                return self._give(head, pending.octets, known) or self.refuse(head, made)
            self._counts[made.count] += 1
            return self._made(head, made)
        except Exception as error:  # noqa: BLE001 - translated into OCSP and recorded there
            return self.refuse(head, error)

    def still_missing(self, pending: Pending, found: Collection[int] | Exception) -> bytes | None:
        """Return the refusal, once the log was read or not; None: an answer is to be made.

        The certificate is known now, or the budget of answers `unknown` is not spent.
        """
        try:
            if isinstance(found, Exception):
                return self.refuse(pending.head, found)
            self._require_belief()
            key = pending.key or b""
            if number_in(key) in found or self.reader.knows(key) or self._unknowns.take():
                return None
            self._writer.now()
            self._counts[Count.UNAUTHORIZED] += 1
            return self._writer.refusal(pending.head, Refusal.UNAUTHORIZED)
        except Exception as unexpected:  # noqa: BLE001 - translated into OCSP and recorded there
            return self.refuse(pending.head, unexpected)

    def _go_on(self, served: Sequence[Waiting], found: Collection[int] | Exception) -> None:
        """The log was read to its end, or not, since these asked for what the store had not."""
        with self.one_moment():
            for one in served:
                try:
                    one.go_on(found)
                except Exception:  # recorded; the others wait, too
                    log.exception("unexpected error while OCSP was answered")

    def _repeats_nonce(self, request: OCSPRequest) -> bool:
        """Whether there is a nonce that this process may have signed for once more."""
        if request.nonce is None or self._config.nonce is NoncePolicy.IGNORE:
            return False
        return self._config.nonce is NoncePolicy.REQUIRE or self._nonces.take()

    def refuse(self, head: Head, error: Exception) -> bytes:
        """Return the response that says no."""
        refusal = Refusal.INTERNAL_ERROR
        if isinstance(error, TrustError):
            refusal = refusal_of(error)
        self._counts[Count[refusal.name]] += 1
        now = self._writer.now()
        # An outage is one line a second, and not one for each who asks.
        quiet = self._logged is not None and abs(now - self._logged) < _LOG_EVERY
        if refusal not in QUIET and not quiet:
            self._logged = now
            log.error("OCSP refused", exc_info=error, extra={"refusal": refusal.name.lower()})
        return self._writer.refusal(head, refusal)

    def _require_belief(self) -> None:
        if self._pulse.distrusted:
            raise Unavailable("the local store is not to be believed at the moment")

    def _require_complete(self) -> None:
        """What the store does not have may only be looked for once it had everything."""
        if not self.reader.complete:
            self.look()
        if not self.reader.complete:
            raise Unavailable("the status log has not been read to its end yet")

    def _give(self, head: Head, octets: bytes, key: bytes | None) -> bytes | None:
        now = self._writer.second()
        if key is None or not self._gives_stored:
            return None
        found = self.reader.find_good(key, now)
        if found is None:
            return None
        block, header, tail = found
        if now >= header.refresh_at:
            self._refresh(key, octets, now)
        self._counts[stored_place(key, header.said)] += 1
        return self._send(head, header, block, tail, now)

    def _send(self, head: Head, header: Header, block: bytes, tail: bytes, now: int) -> bytes:
        end = HEADER_OCTETS + header.fields_octets
        fields = block[HEADER_OCTETS:end]
        if now > header.fields_until:
            fields = aged(fields, self._config.max_age_seconds - (now - header.fields_until))
        return self._writer.success(head, fields, block[end:] + tail)

    def _made(self, head: Head, made: Made) -> bytes:
        if made.block is None:
            return self._writer.uncached(head, made.octets)
        now = self._writer.second()
        return self._send(head, read_header(made.block), made.block, made.octets, now)

    def _refresh(self, key: bytes, octets: bytes, now: int) -> None:
        """Have an answer made anew behind the one that is being given, once in a while."""
        if self._refreshing.get(key, 0) > now:
            return
        if len(self._refreshing) >= _REFRESHING:
            self._refreshing.clear()
        self._refreshing[key] = now + _REFRESH_AGAIN_SECONDS
        try:
            self._signing.refresh(octets)
        except TrustError:
            log.exception("an OCSP answer cannot be made anew")
