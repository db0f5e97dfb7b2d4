"""The key management centre in a process of its own, as the authority sees it.

Fulfils `ca.dual.KeyEscrow` and `ca.dual.KeyRecovery`. Every answer is checked as far as one can
without the holder's key; what does not hold counts as a centre that cannot be reached, so that
nothing is reserved and the request waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import Malformed, Refused, Unavailable
from keystore import sm2_forms
from keystore.envelope import decode_enveloped_key
from keystore.escrow import wire
from keystore.escrow.centre import Assigned
from keystore.escrow.store import Recovery, RecoveryKind

_T = TypeVar("_T", bound=BaseModel)


class Calls(Protocol):
    """What `core.peer.Peer` does."""

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool) -> Any: ...


class RemoteCentre:
    """Asks the centre over a connection that both ends authenticate."""

    def __init__(self, peer: Calls) -> None:
        self._peer = peer

    def assign(self, request_id: str, *, signing_key: bytes, actor: str) -> Assigned:
        """Give a request its key: always the same one. Raises `Unavailable`, `Conflict`."""
        call = wire.AssignCall(
            request_id=request_id, signing_key=wire.to_text(signing_key), actor=actor
        )
        answer = self._call(wire.ASSIGN, call, wire.AssignAnswer, repeatable=True)
        return _checked(answer)

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

    def list_recoveries(self, *, limit: int = 100) -> Sequence[Recovery]:
        """Return those that were asked for here, newest first."""
        answer = self._call(wire.LIST, wire.ListCall(limit=limit), wire.ListAnswer, repeatable=True)
        return [item.record() for item in answer.items]

    def deliver(self, recovery_id: str, *, actor: str) -> bytes:
        """Return DER SM2EnvelopedKey, once. What is lost on the way is not delivered again."""
        call = _named(wire.RecoveryCall, recovery_id=recovery_id, actor=actor)
        answer = self._call(wire.DELIVER, call, wire.DeliverAnswer, repeatable=False)
        try:
            enveloped = wire.from_text(answer.enveloped)
            decode_enveloped_key(enveloped)
        except Malformed as error:
            raise _nonsense() from error
        return enveloped

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


def _checked(answer: wire.AssignAnswer) -> Assigned:
    try:
        public_key = wire.from_text(answer.public_key)
        enveloped = wire.from_text(answer.enveloped)
        point = sm2_forms.point_of_spki(public_key)
        inside = decode_enveloped_key(enveloped).point
    except Malformed as error:
        raise _nonsense() from error
    if point != inside:
        raise Unavailable("the key management centre gave an envelope of another key")
    return Assigned(answer.key_id, sm2_forms.spki_of_point(point), enveloped)


def _nonsense() -> Unavailable:
    return Unavailable("the key management centre answered what cannot be right")
