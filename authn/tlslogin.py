"""Logging in with the certificate that TLS asked for, on a host name or port of its own.

Asking every visitor of the portal for a certificate would put a dialog before the password page, so
TLS asks elsewhere. The portal gives a challenge to its browser, the other place proves the
certificate and sends a sealed ticket back, and the portal takes it once, from that browser.

A proxy that ends TLS passes the certificate in a header. The header counts only on a connection on
which the proxy itself is authenticated by TLS, by a key that the settings name; from anybody else
it is not even read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

from authn import opaque
from authn.certlogin import CertificateLogin, Proven
from authn.config import AuthnConfig
from authn.login import Throttle
from authn.store import CertificateLoginStore
from core import observe
from core.audit import AuditLog
from core.clock import Clock
from core.errors import (
    BackendUnavailable,
    InvalidSignature,
    Malformed,
    NotFound,
    Refused,
    Unauthenticated,
)
from core.transaction import Transactions
from keystore.certificates import public_key_of
from keystore.seal import Seal

HEADER: Final = b"x-yinxin-client-certificate"
"""nginx: ``proxy_set_header X-Yinxin-Client-Certificate $ssl_client_escaped_cert;``"""
_PEM: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*"
)
_MOST_OCTETS: Final = 32_768
_ABOUT: Final = "login by tls"
_TICKET_LIVES: Final = timedelta(minutes=1)


class TLSLogin:
    """Begins at the portal, proves where TLS asks, and finishes at the portal."""

    def __init__(
        self,
        certificates: CertificateLogin,
        store: CertificateLoginStore,
        *,
        config: AuthnConfig,
        seal: Seal,
        throttle: Throttle,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._certificates = certificates
        self._store = store
        self.url = config.tls_login_url
        """Where TLS asks for a certificate: ``https://host[:port]``; None: nowhere."""
        self.portal = config.issuer
        self._proxies = frozenset(config.tls_proxy_keys)
        self._seal = seal
        self._throttle = throttle
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def presented(self, tls: bytes | None, headers: Mapping[bytes, bytes]) -> bytes | None:
        """Return the certificate of the person, given what TLS says and what headers say.

        Raises `Malformed` for a header of a proxy of ours that is no certificate.
        """
        if tls is None or hashlib.sha256(public_key_of(tls)).hexdigest() not in self._proxies:
            return tls
        value = headers.get(HEADER, b"")
        if not value:
            return None  # the proxy speaks for a visitor without one, and never as itself
        if len(value) > _MOST_OCTETS:
            raise Malformed("the certificate in the proxy's header is too long")
        found = _PEM.fullmatch(unquote(value.decode("latin-1")))
        if found is None:
            raise Malformed("the proxy's header is not a PEM certificate, percent-encoded")
        return base64.b64decode("".join(found[1].split()))

    def prove(self, nonce: str, certificate: bytes, *, address: str) -> str:
        """Return a ticket for the browser that was given `nonce`. TLS has proved the key.

        Chain, validity and revocation are checked here again. Raises `Throttled`,
        `Unauthenticated`.
        """
        self._throttle.charge(address)
        self._judge(certificate, address)
        self._throttle.refund(address)
        ticket = {
            "nonce": nonce,
            "certificate": base64.b64encode(certificate).decode(),
            "until": int((self._clock.now() + _TICKET_LIVES).timestamp()),
        }
        sealed = self._seal.seal(json.dumps(ticket).encode(), about=_ABOUT)
        return base64.urlsafe_b64encode(sealed).decode()

    def finish(self, ticket: str, *, browser: str, address: str) -> Proven:
        """Return whose certificate it was. Raises `Throttled`, `Unauthenticated`.

        The certificate is judged once more: it may have been revoked on the way.
        """
        self._throttle.charge(address)
        said = self._open(ticket)
        now = self._clock.now()
        late = now > datetime.fromtimestamp(said["until"], UTC)
        # The challenge is used up whatever else is wrong, as everywhere.
        fresh = self._store.use_challenge(said["nonce"], opaque.digest(browser), now)
        if late or not fresh:
            raise Unauthenticated("this login has expired or began in another browser; again")
        proven, fingerprint = self._judge(base64.b64decode(said["certificate"]), address)
        with self._transactions.transaction():
            self._throttle.refund(address)
            detail = {
                "user": proven.user.name,
                "method": "tls",
                "address": address,
                "certificate": fingerprint,
            }
            self._audit.record("login.succeeded", actor=proven.user.name, detail=detail)
        observe.LOGINS.labels(method="certificate", result="succeeded").inc()
        return proven

    def _judge(self, certificate: bytes, address: str) -> tuple[Proven, str]:
        try:
            return self._certificates.of_certificate(certificate)
        except (Malformed, Refused, InvalidSignature, NotFound) as error:
            observe.LOGINS.labels(method="certificate", result="failed").inc()
            detail = {"method": "tls", "address": address, "why": str(error)[:200]}
            self._audit.record("login.failed", actor="anonymous", detail=detail)
            raise Unauthenticated(str(error)) from error

    def _open(self, ticket: str) -> dict[str, Any]:
        try:
            sealed = base64.urlsafe_b64decode(ticket.encode("ascii"))
            said: dict[str, Any] = json.loads(self._seal.open(sealed, about=_ABOUT))
        except (ValueError, BackendUnavailable) as error:
            raise Unauthenticated("this is no ticket of ours; sign in again") from error
        return said
