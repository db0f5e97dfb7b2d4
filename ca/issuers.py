"""The issuers of this service, found again at every start and looked at again while it runs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from cryptography import x509
from typing_extensions import override

from ca.issuer import Issuer
from ca.lint import DEFAULT_LINTER, Linter
from ca.store import IssuerRecord, IssuerStore, Outside
from core.clock import Clock
from core.errors import Misconfigured, NotFound
from keystore import keyref
from keystore.backend import KeyBackend

Listener = Callable[[Mapping[str, Issuer]], object]
"""Takes all issuers by name. It may be told the same again, and may not ask `Issuers` itself."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class Issuers(Mapping[str, Issuer]):
    """Every issuer by name, each with its signer. Safe to share between threads.

    Whoever holds this sees what a ceremony made or renewed after the next `refresh`; whoever
    copies something out of it asks to be told with `listen`.
    """

    def __init__(
        self,
        store: IssuerStore,
        keystore: KeyBackend,
        *,
        revocation_url: str,
        linter: Linter = DEFAULT_LINTER,
        blocked_keys: Container[str] = frozenset(),
        crl_partitions: Mapping[str, int] | None = None,
    ) -> None:
        """Load them. Raises `Misconfigured` for a lost key."""
        self._linter = linter
        self._store = store
        self._keystore = keystore
        self._revocation_url = revocation_url
        self._blocked_keys = blocked_keys
        self._crl_partitions = crl_partitions or {}
        self._lock = Lock()
        self._listeners: list[Listener] = []
        self._loaded: dict[str, Issuer] = {}
        self.refresh()

    @override
    def __getitem__(self, name: str) -> Issuer:
        return self._loaded[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    @override
    def __len__(self) -> int:
        return len(self._loaded)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with what is there now, and before every change with what comes."""
        with self._lock:
            listener(self._loaded)
            self._listeners.append(listener)

    def refresh(self) -> None:
        """Read the store again; what did not change stays the same object.

        Raises `Misconfigured` when a new issuer's key is missing, and what a listener raises; it
        keeps the old ones then.
        """
        with self._lock:
            before = self._loaded
            after = load_issuers(
                self._store,
                self._keystore,
                revocation_url=self._revocation_url,
                linter=self._linter,
                known=before,
                blocked_keys=self._blocked_keys,
                crl_partitions=self._crl_partitions,
            )
            changed = before.keys() != after.keys() or any(
                after[name] is not issuer for name, issuer in before.items()
            )
            if changed:
                # First told, then seen: OCSP knows an issuer before that issues anything, and who
                # could not take it in is told again.
                for listener in self._listeners:
                    listener(after)
                self._loaded = after


class Generations(Mapping[str, Issuer]):
    """The issuers that requesters name, each giving the generation that signs at this moment.

    A later generation of an issuing CA is an issuer of its own for CRLs, OCSP and chains; a
    requester goes on naming the issuer that it succeeds.
    """

    def __init__(self, issuers: Mapping[str, Issuer], *, clock: Clock) -> None:
        self._issuers = issuers
        self._clock = clock

    @override
    def __getitem__(self, name: str) -> Issuer:
        named, now = self._issuers[name], self._clock.now()
        # Whoever renews a certificate of a generation means the issuer, not that key.
        family = self.family(named.succeeds or name)
        taken = [one for one in family if one.takes_over_at is None or one.takes_over_at <= now]
        current = max(taken, key=lambda one: (one.takes_over_at or _BEGINNING, one.name))
        if len(family) == 1:
            return named
        return replace(current, earlier=tuple(one for one in family if one is not current))

    @override
    def __iter__(self) -> Iterator[str]:
        return iter([name for name, one in self._issuers.items() if one.succeeds is None])

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)

    def succeeded(self, name: str, *, by: datetime) -> bool:
        """Whether a later generation than this one has taken over by then."""
        mine = self._issuers[name]
        began = mine.takes_over_at or _BEGINNING
        return any(
            one.takes_over_at is not None and began < one.takes_over_at <= by
            for one in self.family(mine.succeeds or name)
        )

    def family(self, name: str) -> tuple[Issuer, ...]:
        """Return every generation of an issuer, those to come included."""
        return tuple(one for one in self._issuers.values() if name in (one.name, one.succeeds))


def load_issuers(
    store: IssuerStore,
    keystore: KeyBackend,
    *,
    revocation_url: str,
    linter: Linter = DEFAULT_LINTER,
    known: Mapping[str, Issuer] | None = None,
    blocked_keys: Container[str] = frozenset(),
    crl_partitions: Mapping[str, int] | None = None,
) -> dict[str, Issuer]:
    """Return every issuer by name, each with its signer; out of `known` where nothing changed.

    `crl_partitions` is by the name of an issuer, and holds for later generations of it too.
    Raises `Misconfigured` for a lost key.
    """
    partitions = crl_partitions or {}
    loaded: dict[str, Issuer] = {}
    outside = store.list_outside()
    for record in store.list_issuers():
        around = outside.get(record.name, Outside())
        chain, crosses = around.above, around.crosses
        if record.parent is not None:
            parent = loaded[record.parent]
            chain = (parent.certificate, *parent.chain)
            crosses = (*crosses, *parent.crosses)
        old = None if known is None else known.get(record.name)
        now = (record.certificate, chain, crosses)
        if old is not None and (old.certificate, old.chain, old.crosses) == now:
            loaded[record.name] = old
        else:
            made = load_issuer(record, chain, keystore, revocation_url)
            family = partitions.get(record.succeeds or record.name, 1)
            loaded[record.name] = replace(
                made,
                linter=linter,
                crosses=crosses,
                blocked_keys=blocked_keys,
                crl_partitions=partitions.get(record.name, family),
            )
    return loaded


def load_issuer(
    record: IssuerRecord, chain: tuple[bytes, ...], keystore: KeyBackend, revocation_url: str
) -> Issuer:
    """Return one issuer with its signer. Raises `Misconfigured` for a lost or another key."""
    try:
        signer = keystore.signer(keyref.parse(record.key_ref), record.signature_algorithm)
    except NotFound as error:
        raise Misconfigured(
            f"the key of issuer {record.name} is not in the keystore: {record.key_ref}"
        ) from error
    certificate = x509.load_der_x509_certificate(record.certificate)
    if signer.key.public_key not in certificate.tbs_certificate_bytes:
        raise Misconfigured(
            f"the key {record.key_ref} is not the one in the certificate of issuer {record.name}"
        )
    return Issuer(
        name=record.name,
        certificate=record.certificate,
        chain=chain,
        signer=signer,
        subject=certificate.subject.public_bytes(),
        revocation_url=revocation_url,
        succeeds=record.succeeds,
        takes_over_at=record.takes_over_at,
    )
