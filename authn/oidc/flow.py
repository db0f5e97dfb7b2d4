"""The state of a login that is under way: in a cookie, encrypted and authenticated, not in a row.

Each authorization request that needs a page of ours gets a cookie of its own, so several tabs log
in side by side. The browser cannot read it or change it, nor move it to another flow: the id of the
flow and the purpose are authenticated with it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authn.forms import Fields
from authn.oidc.errors import InvalidRequest
from authn.oidc.purposekeys import PurposeKeys
from authn.store import Session
from core.clock import Clock

COOKIE: Final = "__Host-yinxin-flow-"
LASTS: Final = timedelta(minutes=60)
MOST_FLOWS: Final = 8
"""Cookies of older flows go when there are more: a browser sends them all with every request."""

_PURPOSE: Final = "flow cookies, 3"  # another number with another form: old ones are gone
_ID: Final = re.compile(r"[A-Za-z0-9_-]{16}")
_MOST_CHARACTERS: Final = 3800  # of 4096 that a browser keeps of name and value
_MOST_OCTETS: Final = 8000  # of all older flows; the server reads 16 KiB of headers
_NONCE_OCTETS: Final = 12
_MARK_OCTETS: Final = 8


@dataclass(frozen=True, slots=True)
class Flow:
    """A checked authorization request on its way through our pages."""

    fields: Fields
    """The parameters that count, wherever they came from."""
    after: int
    """Seconds since 1970: only a login after this moment answers prompt=login or max_age."""
    pushed: str | None = None
    """Digest (hex) of the pushed request that they came from."""
    signed: bool = False
    """They came in a request object."""
    chosen: str | None = None
    """The session (`sid`) that the person chose to go on with (prompt=select_account)."""
    known: str | None = None
    """The login that was there at `after` (`mark_of`), which does not answer it either."""


class FlowGone(InvalidRequest):
    """A login that is over, or that this browser did not begin: nobody's fault."""

    def __init__(self) -> None:
        super().__init__("this login is over, too old, or another browser's; begin again")


class Flows:
    """Seals flows into cookies and opens them."""

    def __init__(self, keys: PurposeKeys, *, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def seal(self, flow: Flow) -> tuple[str, str]:
        """Return a new id, and the value of its cookie. Raises `InvalidRequest` if too long."""
        now, nonce = int(self._clock.now().timestamp()), secrets.token_bytes(_NONCE_OCTETS)
        flow_id = f"{now:08x}{secrets.token_urlsafe(6)}"  # sorts by age
        who = (flow.chosen, flow.known)
        said = [now, flow.after, flow.pushed, flow.signed, *who, list(flow.fields)]
        packed = zlib.compress(json.dumps(said, separators=(",", ":")).encode(), 6)
        sealed = AESGCM(self._keys(_PURPOSE)).encrypt(nonce, packed, flow_id.encode())
        value = base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()
        if len(value) > _MOST_CHARACTERS:
            raise InvalidRequest("the request is too long; push it (RFC 9126) or shorten it")
        return flow_id, value

    def open(self, flow_id: str, value: str) -> Flow:
        """Raises `FlowGone`, which is shown to the person."""
        if _ID.fullmatch(flow_id) is None or not value or len(value) > _MOST_CHARACTERS:
            raise FlowGone
        try:
            octets = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
            nonce, sealed = octets[:_NONCE_OCTETS], octets[_NONCE_OCTETS:]
            packed = AESGCM(self._keys(_PURPOSE)).decrypt(nonce, sealed, flow_id.encode())
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise FlowGone from error
        at, after, pushed, signed, chosen, known, pairs = json.loads(zlib.decompress(packed))
        if self._clock.now().timestamp() > at + LASTS.total_seconds():
            raise FlowGone
        fields = [(name, text) for name, text in pairs]
        return Flow(fields, after, pushed, signed, chosen, known)


def mark_of(session: Session) -> str:
    """Return what tells a login from one of the same second: each draws another secret."""
    return session.digest[:_MARK_OCTETS].hex()


def superfluous(cookies: Mapping[str, str]) -> list[str]:
    """Return the names of the oldest flows that a browser should forget when it gets another."""
    newest_first = sorted((name for name in cookies if name.startswith(COOKIE)), reverse=True)
    kept, octets = 0, 0
    for name in newest_first:
        octets += len(name) + len(cookies[name])
        if kept == MOST_FLOWS or octets > _MOST_OCTETS:
            break
        kept += 1
    return newest_first[kept:]
