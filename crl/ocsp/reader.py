"""Finding the answer to a request in the store, without an ASN.1 library and without a lock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ca.packedstatus import SERIAL_OCTETS
from crl.ocsp.block import Header, read_header
from crl.ocsp.layout import KnownIssuer, cert_id_forms, certificate_tail
from crl.ocsp.store import StatusStore

if TYPE_CHECKING:
    import lmdb


class RequestForms:
    """The requests that nearly every client sends: one CertID of one of `issuers`, and no more."""

    def __init__(self, issuers: Iterable[KnownIssuer]) -> None:
        self._forms = {form.head: form for one in issuers for form in cert_id_forms(one)}
        # The first one is what nearly every client asks by.
        self._sizes = tuple(sorted({len(head) for head in self._forms}, key=_frequency))

    def key_of(self, octets: bytes) -> bytes | None:
        """Return the key of the answer to a request that is one CertID and nothing else.

        Every octet of it but the serial number is compared, so its DER need not be looked at.
        None: it has another form, or is not for an issuer of ours.
        """
        for size in self._sizes:
            form = self._forms.get(octets[:size])
            if form is not None:
                if len(octets) != form.length:
                    return None
                return form.key_begin + octets[size:].rjust(SERIAL_OCTETS, b"\0") + form.key_end
        return None


class AnswerReader:
    """What one thread sees of the store: the newest state at each look, or one that it holds."""

    def __init__(self, store: StatusStore) -> None:
        self._store = store
        self._tables: bytes | None = None
        self.issuers: list[KnownIssuer] = []
        self.key_of = RequestForms(()).key_of
        self.tails: dict[int, bytes] = {}
        self.complete = False
        self.reloads = 0
        """Counts the times that issuers or responders were others than before."""
        self._held: lmdb.Transaction | None = None
        self._held_state = 0

    def hold(self) -> None:
        """See the store as it is now, until `let_go`: a transaction for many looks."""
        self._held = self._store.begin_reading()
        self._held_state = self._held.id()

    def let_go(self) -> None:
        """See the newest state at each look."""
        held, self._held = self._held, None
        if held is not None:
            held.abort()

    def state(self) -> int:
        """Return `StatusStore.state` of what is seen."""
        return self._store.state() if self._held is None else self._held_state

    def reload(self) -> None:
        """Look whether there are other issuers or responders than before, and take them."""
        self.complete = self._store.is_complete()
        tables = self._store.parties.changes()
        if tables == self._tables:
            return
        self.issuers = self._store.parties.issuers()
        self.key_of = RequestForms(self.issuers).key_of
        responders = self._store.parties.responders()
        self.tails = {
            number: certificate_tail(one, self.issuers) for number, one in responders.items()
        }
        self._tables = tables
        self.reloads += 1

    def find(self, key: bytes) -> tuple[int, bytes | None]:
        """Return the state that is seen, and the block under `key` in it."""
        if self._held is None:
            return self._store.find_answer(key)
        # Octets, as long as `buffers` is not asked for.
        return self._held_state, self._held.get(key)  # type: ignore[return-value]

    def tail_of(self, responder: int) -> bytes | None:
        """Return what the answers of a responder end with; None: it is none any more."""
        tail = self.tails.get(responder)
        if tail is None:
            self.reload()
            tail = self.tails.get(responder)
        return tail

    def find_good(self, key: bytes, now: int) -> tuple[bytes, Header, bytes] | None:
        """Return block, header and tail of an answer that may be given at this second."""
        _, block = self.find(key)
        if block is None:
            return None
        header = read_header(block)
        if not header.produced_at <= now < header.until:
            return None
        tail = self.tail_of(header.responder)
        return None if tail is None else (block, header, tail)


def _frequency(size: int) -> tuple[bool, int]:
    return (size != _SHA1_WITH_NULL, size)


_SHA1_WITH_NULL: Final = 10 + 11 + 22 + 22 + 2
"""Tags and lengths, AlgorithmIdentifier, two hashes, and the tag and length of the number."""
