"""Registering many applications at once: all of them, or none."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import NoReturn

from authn.oidc.clients import Clients
from authn.schemas import NewClient
from core.errors import Conflict, Malformed, Refused, TrustError
from core.transaction import Transactions


@dataclass(frozen=True, slots=True)
class Wanted:
    """One application of a file."""

    row: int
    """Where it stands, to be named when something is wrong with it."""
    application: NewClient


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a file."""

    secrets: dict[str, str | None]
    """Of those that are new, by client id; None: it has none."""
    known: tuple[str, ...]
    """Those that were there before, and stay as they are."""


class RowsRefused(Refused):
    """Nothing was registered; `faults` has a sentence for each bad row."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(f"{len(faults)} rows cannot be registered; nothing was")
        self.faults = tuple(faults)


class _CheckedOnly(Exception):
    """Undoes the transaction of a check."""


@dataclass(frozen=True, slots=True)
class ClientBatch:
    """Takes a file of applications."""

    clients: Clients
    transactions: Transactions
    actor: str
    skip_known: bool = False
    """Pass over an id that is registered, whatever the file says of it."""

    def check(self, wanted: Sequence[Wanted]) -> Registered:
        """Return what `register` would do, as if it did. Raises `RowsRefused`."""
        found = Registered({}, ())
        try:
            with self.transactions.transaction():
                found = self._all(wanted)
                _undo()
        except _CheckedOnly:
            return found

    def register(
        self, wanted: Sequence[Wanted], *, keep: Callable[[Registered], None]
    ) -> Registered:
        """Register all, in one transaction. Raises `RowsRefused`, with every fault.

        `keep` puts the secrets where they stay, before anything is durable: an application without
        a secret that anybody knows would have to be registered again.
        """
        with self.transactions.transaction():
            found = self._all(wanted)
            keep(found)
        return found

    def _all(self, wanted: Sequence[Wanted]) -> Registered:
        faults: list[str] = []
        there = {one.id for one in self.clients.list_clients()}
        secrets: dict[str, str | None] = {}
        known: list[str] = []
        for one in wanted:
            client_id = one.application.client_id
            if client_id in there and self.skip_known:
                known.append(client_id)
                continue
            try:
                secrets[_new_id(client_id, secrets)] = self._one(one.application)
            except TrustError as error:
                faults.append(f"row {one.row} ({client_id or '-'}): {error}")
        if faults:
            raise RowsRefused(faults)
        return Registered(secrets, tuple(known))

    def _one(self, body: NewClient) -> str | None:
        _, secret = self.clients.register(
            body.name,
            client_id=body.client_id,
            redirect_uris=body.redirect_uris,
            post_logout_redirect_uris=body.post_logout_redirect_uris,
            auth_method=body.auth_method,
            allowed_scopes=body.scopes,
            id_token_algorithm=body.id_token_algorithm,
            metadata=body.metadata,
            actor=self.actor,
        )
        return secret


def _undo() -> NoReturn:
    raise _CheckedOnly


def _new_id(client_id: str | None, before: Container[str]) -> str:
    if client_id is None:
        raise Malformed("a client_id is wanted: by it a second run knows what is there")
    if client_id in before:
        raise Conflict(f"{client_id!r} stands in the file twice")
    return client_id
