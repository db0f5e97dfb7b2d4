"""Signed answers in memory. They are a cache: the status is read before each one is used."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from crl.status import Standing


@dataclass(frozen=True, slots=True)
class Answer:
    """A signed response, and how long it holds."""

    der: bytes
    produced_at: datetime
    this_update: datetime
    next_update: datetime
    until: datetime
    """When it must not be given any more: its nextUpdate, or the end of what it says."""
    cacheable: bool
    """False when it answers a nonce or several CertIDs: nobody else will ask the same."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An answer with what it was made from. It may be used only while all of that still holds."""

    answer: Answer
    standing: Standing
    responder: bytes
    """DER of the certificate of the delegated responder that signed it."""
    stale_at: datetime


class AnswerCache:
    """The answers used last. Safe to share between threads."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._lock = Lock()
        self._signed: OrderedDict[tuple[str, bytes], Signed] = OrderedDict()

    def find(
        self, issuer: str, cert_id: bytes, *, standing: Standing, responder: bytes, now: datetime
    ) -> Answer | None:
        """Return a fresh answer that says `standing` and is signed by `responder`, or None.

        Comparing with the status just read, and not invalidating on revocation, leaves no moment
        in which a slower thread could put a "good" back over a "revoked".
        """
        key = (issuer, cert_id)
        with self._lock:
            signed = self._signed.get(key)
            if (
                signed is None
                or signed.standing != standing
                or signed.responder != responder
                or not signed.answer.produced_at <= now < signed.stale_at
            ):
                return None
            self._signed.move_to_end(key)
            return signed.answer

    def put(self, issuer: str, cert_id: bytes, signed: Signed) -> None:
        """Remember an answer; the one used longest ago makes room."""
        with self._lock:
            self._signed[issuer, cert_id] = signed
            self._signed.move_to_end((issuer, cert_id))
            while len(self._signed) > self._entries:
                self._signed.popitem(last=False)
