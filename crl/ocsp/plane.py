"""The OCSP data plane: which answer goes out, from the store or made now. Knows no sockets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.clock import Clock
from core.errors import NotFound, TrustError, Unavailable
from crl.config import NoncePolicy, OCSPConfig
from crl.ocsp.block import HEADER_OCTETS, Header, read_header, unpack_header
from crl.ocsp.head import Head
from crl.ocsp.issuers import IssuerTable
from crl.ocsp.layout import KnownIssuer, answer_key
from crl.ocsp.path import decode_path
from crl.ocsp.pulse import Pulse
from crl.ocsp.reader import AnswerReader
from crl.ocsp.recent import RecentAnswer, RecentAnswers
from crl.ocsp.request import OCSPRequest, parse_request
from crl.ocsp.responder import QUIET, refusal_of
from crl.ocsp.response import Refusal
from crl.ocsp.signing import Made, Signing
from crl.ocsp.tally import Count, stored_place
from crl.ocsp.wire import ResponseWriter, aged

log = logging.getLogger(__name__)

_LOG_EVERY: Final = timedelta(seconds=1)
_REFRESH_AGAIN_SECONDS: Final = 5
_REFRESHING: Final = 4096


@dataclass(frozen=True, slots=True)
class Pending:
    """A request whose answer has to be made."""

    head: Head
    octets: bytes
    key: bytes | None
    """Of a stored answer that is better than none."""


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
        self._issuers: IssuerTable[KnownIssuer] = IssuerTable(())
        self._reloads = 0
        self.recent = RecentAnswers()
        """What came before: to be asked before `look_up`."""
        self._refreshing: dict[bytes, int] = {}
        self._logged: datetime | None = None
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
                self._issuers.replace(self.reader.issuers)
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
            key = fallback = self.reader.forms.key_of(octets)
            if key is None:
                request = parse_request(octets)
                fallback = self._key_of(request)
                # Extensions that change nothing: still the same answer.
                ignored = self._config.nonce is NoncePolicy.IGNORE
                key = fallback if request.nonce is None or ignored else None
            given = self._give(head, octets, key)
            if given is not None:
                return given
            self._require_complete()
            return Pending(head, octets, fallback)
        except Exception as error:  # noqa: BLE001 - translated into OCSP and recorded there
            return self.refuse(head, error)

    async def respond_later(self, pending: Pending) -> bytes:
        """Return the whole response, once it is made."""
        head = pending.head
        try:
            made = await self._signing.make(pending.octets)
        except Exception as error:  # noqa: BLE001 - translated into OCSP and recorded there
            # RFC 9654, 2.1 leaves it to us: an answer without its nonce is better than none.
            known = pending.key if isinstance(error, Unavailable) else None
            return self._give(head, pending.octets, known) or self.refuse(head, error)
        self._counts[made.count] += 1
        return self._made(head, made)

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

    def _key_of(self, request: OCSPRequest) -> bytes | None:
        """Return the key of the answer to one CertID. Raises `NotFound` for no issuer of ours."""
        found = [self._issuers.find(cert_id) for cert_id in request.cert_ids]
        issuer = found[0]
        if issuer is None or any(other is not issuer for other in found):
            raise NotFound("the request is not for one issuer of this service")
        cert_id = request.cert_ids[0]
        return answer_key(cert_id.der, issuer.number, cert_id.serial) if len(found) == 1 else None

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
