"""CAS 2.0 and 3.0, as far as portals need it: validation answers and single logout messages."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from authn.legacy.entry import Admitted
from authn.logout.store import Delivery
from core.clock import Clock

PREFIX: Final = "ST-"
_NAMESPACE: Final = "http://www.yale.edu/tp/cas"

_CODES: Final = {
    "INVALID_REQUEST": "service and ticket are required",
    "UNAUTHORIZED_SERVICE": "proxy tickets are not given here",
    "INVALID_TICKET": "the ticket is not good here, was used or has expired",
}


def attributes(admitted: Admitted) -> dict[str, Any]:
    """Return what the application is told besides the name (CAS 3.0, 2.5.7)."""
    user, ticket = admitted.user, admitted.ticket
    told: dict[str, Any] = {
        "authenticationDate": ticket.auth_time.isoformat().replace("+00:00", "Z"),
        "longTermAuthenticationRequestTokenUsed": False,
        "isFromNewLogin": ticket.fresh,
        "sub": user.id,
        "displayName": user.display_name,
    }
    return told if user.email is None else told | {"mail": user.email}


def success_xml(name: str, told: Mapping[str, Any]) -> str:
    """Return the answer that names the person (appendix A); `told` is empty for CAS 2.0."""
    lines = [f"<cas:{key}>{_text(value)}</cas:{key}>" for key, value in told.items()]
    extra = f"<cas:attributes>{''.join(lines)}</cas:attributes>" if lines else ""
    body = f"<cas:user>{escape(name)}</cas:user>{extra}"
    return _response(f"<cas:authenticationSuccess>{body}</cas:authenticationSuccess>")


def failure_xml(code: str) -> str:
    """Return the answer that says why not (2.5.3)."""
    body = escape(_CODES[code])
    return _response(f'<cas:authenticationFailure code="{code}">{body}</cas:authenticationFailure>')


def proxy_failure_xml() -> str:
    """Return the answer to whoever asks for a proxy ticket (2.7.2): there are none."""
    code = "UNAUTHORIZED_SERVICE"
    return _response(f'<cas:proxyFailure code="{code}">{_CODES[code]}</cas:proxyFailure>')


def success_json(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """The same as JSON (2.5.1, ``format=JSON``)."""
    success: dict[str, Any] = {"user": name}
    if told:
        success["attributes"] = dict(told)
    return {"serviceResponse": {"authenticationSuccess": success}}


def failure_json(code: str) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "serviceResponse": {
            "authenticationFailure": {"code": code, "description": _CODES[code]},
        }
    }


class CASLogout:
    """`authn.logout.sender.Messages` for CAS (2.3.3): a SAML 2.0 LogoutRequest with the ticket."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    def form_of(self, delivery: Delivery) -> Mapping[str, str] | None:
        """Return the form."""
        at = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "logoutRequest": (
                '<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" '
                f'ID="LR-{uuid.uuid4()}" Version="2.0" IssueInstant="{at}">'
                '<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">'
                f"{escape(delivery.subject)}</saml:NameID>"
                f"<samlp:SessionIndex>{escape(delivery.ticket)}</samlp:SessionIndex>"
                "</samlp:LogoutRequest>"
            )
        }


def _response(body: str) -> str:
    return f'<cas:serviceResponse xmlns:cas="{_NAMESPACE}">{body}</cas:serviceResponse>'


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else escape(str(value))
