"""How the authority itself is known to its key management centre and registration authorities.

It calls them, and serves mutual TLS, with the host key, which stays, and a certificate that it
issues to itself and renews at half its life. They know it by the key (`yinxin host key`).
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from cryptography import x509

from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuer import Issuer
from ca.store import CertificateQuery, CertificateState
from core.errors import Unavailable
from core.identity import SYSTEM_ACTOR
from yinxin.first_start import Authority
from yinxin.host_identity import HOST_KEY, ensure_host_key, half_life, names_in, own_names

_ISSUER: Final = "rsa-issuing"


class AuthorityLink:
    """Keeps one certificate in its contexts young. New connections see a renewal at once."""

    def __init__(self, authority: Authority, issuers: Mapping[str, Issuer], *, host: str) -> None:
        self._authority = authority
        self._issuers = issuers
        self._host = host
        self._lock = threading.Lock()
        self.follows = False
        """Another process of this host issues, and what it issued is taken."""
        self._calling: ssl.SSLContext | None = None
        self._contexts: list[ssl.SSLContext] = []
        self._loaded: bytes | None = None

    @property
    def _issuer(self) -> Issuer:
        return self._issuers[_ISSUER]

    def context(self) -> ssl.SSLContext:
        """Return the context for calling a peer, with a certificate that holds."""
        with self._lock:
            if self._calling is None:
                root = ssl.DER_cert_to_PEM_cert(self._issuer.chain[-1])
                context = ssl.create_default_context(cadata=root)
                context.minimum_version = ssl.TLSVersion.TLSv1_2
                self._add(context)
                self._calling = context
            return self._calling

    def serve_in(self, context: ssl.SSLContext) -> None:
        """Let `context` show the certificate to those who call."""
        with self._lock:
            self._add(context)

    def renew(self) -> None:
        """Load the certificate in force, issuing the next one at half its life."""
        with self._lock:
            if self._contexts:
                certificate = self._in_force()
                if certificate != self._loaded:
                    for context in self._contexts:
                        self._load(context, certificate)
                    self._loaded = certificate

    def _add(self, context: ssl.SSLContext) -> None:
        if self._loaded is None:
            self._loaded = self._in_force()
        self._load(context, self._loaded)
        self._contexts.append(context)

    def _load(self, context: ssl.SSLContext, certificate: bytes) -> None:
        chain = "".join(map(ssl.DER_cert_to_PEM_cert, (certificate, self._issuer.certificate)))
        self._authority.keystore.load_into(context, HOST_KEY, chain.encode("ascii"))

    def _in_force(self) -> bytes:
        found = self._young()
        if found is None and self.follows:
            raise Unavailable("there is no certificate to take: it comes from the first process")
        return found or self._issue()

    def _young(self) -> bytes | None:
        info = ensure_host_key(self._authority.keystore)
        query = CertificateQuery(
            issuer=self._issuer.name,
            state=CertificateState.ISSUED,
            spki_fingerprint=hashlib.sha256(info.public_key).hexdigest(),
        )
        found = [item.der for item in self._authority.store.search_certificates(query).items]
        now = self._authority.clock.now()
        names = own_names(self._host)
        young = [
            der
            for der in found
            if der is not None and (self.follows or now < half_life(der)) and names <= names_in(der)
        ]
        return max(young, key=_end_of, default=None)

    def _issue(self) -> bytes:
        authority = self._authority
        issued = issue_certificate(
            IssuanceRequest(
                spki=ensure_host_key(authority.keystore).public_key,
                subject=(("CN", self._host),),
                requester=SYSTEM_ACTOR,
                alternative_names=tuple(sorted(own_names(self._host), key=str)),
            ),
            profile=authority.profiles["device"],
            issuer=self._issuer,
            store=authority.store,
            transactions=authority.transactions,
            audit=authority.audit,
            clock=authority.clock,
        )
        return issued.der


def _end_of(certificate: bytes) -> datetime:
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc
