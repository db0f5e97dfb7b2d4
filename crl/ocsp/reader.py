"""Finding the answer to a request in the store, without an ASN.1 library and without a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ca.packedstatus import KEY_OCTETS
from core.errors import NotFound
from crl.ocsp.block import Header, read_header
from crl.ocsp.forms import RequestForms
from crl.ocsp.issuers import IssuerTable
from crl.ocsp.layout import KnownIssuer, answer_key, certificate_tail
from crl.ocsp.request import OCSPRequest
from crl.ocsp.store import StatusStore

if TYPE_CHECKING:
    import lmdb


class AnswerReader:
    """What one thread sees of the store: the newest state at each look, or one that it holds."""

    def __init__(self, store: StatusStore) -> None:
        self._store = store
        self._tables: bytes | None = None
        self.issuers: list[KnownIssuer] = []
        self._table: IssuerTable[KnownIssuer] = IssuerTable(())
        self.forms = RequestForms(())
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
        """Look whether there are other issuers or responders than before, and take them.

        Raises `Conflict` for two issuers that are one.
        """
        self.complete = self._store.is_complete()
        tables = self._store.parties.changes()
        if tables == self._tables:
            return
        self.issuers = self._store.parties.issuers()
        self._table.replace(self.issuers)
        self.forms = RequestForms(self.issuers)
        responders = self._store.parties.responders()
        self.tails = {
            number: certificate_tail(one, self.issuers) for number, one in responders.items()
        }
        self._tables = tables
        self.reloads += 1

    def key_of_request(self, request: OCSPRequest) -> bytes | None:
        """Return the key of the answer to one CertID of an issuer of ours; None: it has none.

        Raises `NotFound` for an issuer that is not ours, or for two.
        """
        issuer = self._issuer_of(request)
        if issuer is None:
            # Tables are taken once a second, and certificates are asked for in the second in which
            # their issuer began.
            self.reload()
            issuer = self._issuer_of(request)
        if issuer is None:
            raise NotFound("the request is not for one issuer of this service")
        cert_id = request.cert_ids[0]
        one = len(request.cert_ids) == 1
        return answer_key(cert_id.der, issuer.number, cert_id.serial) if one else None

    def _issuer_of(self, request: OCSPRequest) -> KnownIssuer | None:
        issuer, *others = map(self._table.find, request.cert_ids)
        return issuer if all(other is issuer for other in others) else None

    def find(self, key: bytes) -> tuple[int, bytes | None]:
        """Return the state that is seen, and the block under `key` in it."""
        if self._held is None:
            return self._store.find_answer(key)
        # Octets, as long as `buffers` is not asked for.
        return self._held_state, self._held.get(key)  # type: ignore[return-value]

    def knows(self, key: bytes) -> bool:
        """Whether there is a status of the certificate whose answer is under `key`."""
        return self._store.has_status(key[:KEY_OCTETS], self._held)

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
