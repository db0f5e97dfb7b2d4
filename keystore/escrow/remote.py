"""The key management centre in a process of its own, as the authority sees it.

Fulfils `ca.dual.KeyEscrow` and `ca.dual.KeyRecovery`. Every answer is checked as far as one can
without the holder's key; what does not hold counts as a centre that cannot be reached, so that
nothing is reserved and the request waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from cryptography.hazmat import asn1
from pydantic import BaseModel, ValidationError

from core import der
from core.errors import Malformed, Refused, Unavailable
from core.listing import page_of
from keystore import sm2_forms, verify
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import Dialect
from keystore.envelope import decode_enveloped_key
from keystore.escrow import wire
from keystore.escrow.centre import Assigned
from keystore.escrow.envelopes import EnvelopeOrder
from keystore.escrow.identity import Identity
from keystore.escrow.store import Recovery, RecoveryKind, RecoveryState

_T = TypeVar("_T", bound=BaseModel)


_SORTED_BY: Mapping[str, Callable[[Recovery], Any]] = {
    "created": lambda one: one.created_at,
    "kind": lambda one: one.kind,
    "state": lambda one: one.state,
    "requester": lambda one: one.requester,
}


class Calls(Protocol):
    """What `core.peer.Peer` does."""

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool) -> Any: ...


class RemoteCentre:
    """Asks the centre over a connection that both ends authenticate."""

    def __init__(self, peer: Calls) -> None:
        self._peer = peer

    def assign(
        self, request_id: str, *, algorithm: KeyAlgorithm, signing_key: bytes, actor: str
    ) -> Assigned:
        """Give a request its key: always the same one. Raises `Unavailable`, `Conflict`."""
        call = wire.AssignCall(
            request_id=request_id,
            algorithm=algorithm,
            signing_key=wire.to_text(signing_key),
            actor=actor,
        )
        answer = self._call(wire.ASSIGN, call, wire.AssignAnswer, repeatable=True)
        return _checked(answer, algorithm)

    def envelop(self, request_id: str, order: EnvelopeOrder, *, actor: str) -> bytes:
        """Envelop the key of a request in another dialect. A PKCS#12 file is given once."""
        call = wire.EnvelopCall.of(request_id, order, actor)
        again = order.dialect is not Dialect.PKCS12
        answer = self._call(wire.ENVELOP, call, wire.EnvelopAnswer, repeatable=again)
        return _octets(answer.envelope, text=order.dialect is Dialect.CFCA)

    def identity(self) -> Identity:
        """Return what it signs with, and what passwords are sealed to. Raises `Unavailable`."""
        got = self._peer.post(wire.IDENTITY, {}, repeatable=True)
        try:
            answer = wire.IdentityAnswer.model_validate(got)
            transport_key = wire.from_text(answer.transport_key)
            sm2_forms.point_of_spki(transport_key)
        except (ValidationError, Malformed) as error:
            raise _nonsense() from error
        return Identity(_octets(answer.certificate), transport_key)

    def retire(self, request_id: str) -> None:
        """Say that the certificate of the key has ended. May be repeated."""
        self._peer.post(
            wire.RETIRE, wire.RetireCall(request_id=request_id).model_dump(), repeatable=True
        )

    def request(
        self, kind: RecoveryKind, *, fingerprint: str, recipient: bytes, reason: str, actor: str
    ) -> Recovery:
        """Ask for a user recovery. Raises `Refused` for another kind, `NotFound`, `Unavailable`."""
        if kind is not RecoveryKind.USER:
            raise Refused("a judicial recovery is asked for at the key management centre itself")
        call = wire.RecoverCall(
            fingerprint=fingerprint, recipient=wire.to_text(recipient), reason=reason, actor=actor
        )
        return self._recovery(wire.RECOVER, call, repeatable=False)

    def get(self, recovery_id: str) -> Recovery:
        """Raises `NotFound`."""
        call = _named(wire.RecoveryCall, recovery_id=recovery_id, actor="-")
        return self._recovery(wire.SHOW, call, repeatable=True)

    def list_recoveries(
        self,
        *,
        limit: int = 100,
        state: RecoveryState | None = None,
        requester: str | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Recovery]:
        """Return those that were asked for here, among the newest thousand at the centre.

        In the order of `sort`, behind the one with the id `after`.
        """
        call = wire.ListCall(limit=wire.MOST_LISTED)
        answer = self._call(wire.LIST, call, wire.ListAnswer, repeatable=True)
        found = [item.record() for item in answer.items]
        if requester is not None:
            found = [one for one in found if one.requester == requester]
        if state is not None:
            found = [one for one in found if one.state is state]
        return page_of(found, _SORTED_BY, lambda one: one.id, sort, after)[:limit]

    def list_of_key(self, fingerprint: str, *, limit: int = 100) -> Sequence[Recovery]:
        """Return every recovery of a key, newest first, for its holder."""
        call = wire.OfKeyCall(fingerprint=fingerprint, limit=limit)
        answer = self._call(wire.OF_KEY, call, wire.ListAnswer, repeatable=True)
        return [item.record() for item in answer.items]

    def deliver(self, recovery_id: str, *, actor: str) -> bytes:
        """Return DER SM2EnvelopedKey, once. What is lost on the way is not delivered again."""
        call = _named(wire.RecoveryCall, recovery_id=recovery_id, actor=actor)
        answer = self._call(wire.DELIVER, call, wire.DeliverAnswer, repeatable=False)
        return _octets(answer.enveloped)

    def _recovery(self, path: str, call: BaseModel, *, repeatable: bool) -> Recovery:
        answer = self._call(path, call, wire.RecoveryAnswer, repeatable=repeatable)
        try:
            return answer.record()
        except Malformed as error:
            raise _nonsense() from error

    def _call(self, path: str, call: BaseModel, answer: type[_T], *, repeatable: bool) -> _T:
        got = self._peer.post(path, call.model_dump(), repeatable=repeatable)
        try:
            return answer.model_validate(got)
        except ValidationError as error:
            raise _nonsense() from error


def _named(model: type[_T], **fields: str) -> _T:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise Malformed("a recovery is named by 32 hex digits") from error


def _checked(answer: wire.AssignAnswer, algorithm: KeyAlgorithm) -> Assigned:
    enveloped = _octets(answer.enveloped)
    try:
        key = verify.parse(_octets(answer.public_key))
        # What an RSA key is enveloped in shows nothing of it.
        inside = decode_enveloped_key(enveloped).point if algorithm is KeyAlgorithm.SM2 else None
    except (Malformed, Refused) as error:
        raise _nonsense() from error
    if key.algorithm is not algorithm:
        raise _nonsense()
    if inside is not None and inside != sm2_forms.point_of_spki(key.spki):
        raise Unavailable("the key management centre gave an envelope of another key")
    return Assigned(answer.key_id, key.spki, enveloped)


def _octets(encoded: str, *, text: bool = False) -> bytes:
    """Read base64 of one DER element, or of ASCII."""
    try:
        octets = wire.from_text(encoded)
        if not text:
            der.decode(asn1.TLV, octets, what="the answer")
    except Malformed as error:
        raise _nonsense() from error
    return octets


def _nonsense() -> Unavailable:
    return Unavailable("the key management centre answered what cannot be right")
