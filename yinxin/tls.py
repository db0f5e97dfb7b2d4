"""The service's own TLS certificate: issued by its RSA hierarchy, renewed by itself."""

from __future__ import annotations

import hashlib
import secrets
import ssl
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cryptography import x509

from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuer import Issuer
from ca.store import CertificateQuery, CertificateState
from core.clock import Clock
from core.errors import Unavailable
from core.identity import SYSTEM_ACTOR
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from keystore.keyref import KeyRef
from yinxin.first_start import Authority
from yinxin.host_identity import half_life, names_in, own_names
from yinxin.wiring import Service

_ISSUER: Final = "rsa-issuing"
"""Ordinary clients verify RSA; the SM2 hierarchy would lock them out."""
_PREFIX: Final = "software:object=tls-"
_ANY: Final = keyref.parse(f"{_PREFIX}0")


class ServerTLS:
    """Keeps the certificate in `contexts` young. New connections see a renewal at once.

    `follows`: another process of the host issues, and what it issued is taken.
    """

    def __init__(
        self, service: Service, contexts: tuple[ssl.SSLContext, ...], *, follows: bool = False
    ) -> None:
        self._authority: Authority = service.authority
        self._issuers = service.generations
        self._host = service.ground.settings.server.public_host
        self._clock: Clock = service.ground.clock
        self._contexts = contexts
        self._follows = follows
        self._loaded: bytes | None = None

    def renew(self) -> None:
        """Load the certificate in force, issuing the next one at half its life.

        Who follows raises `Unavailable` while there is none.
        """
        now = self._clock.now()
        young = [pair for pair in self._ours() if self._follows or now < half_life(pair[1])]
        newest = max(young, key=_end_of, default=None)
        if newest is None and self._follows:
            raise Unavailable(
                "there is no TLS certificate to take: it comes from the first process"
            )
        ref, certificate = newest or self._issue(now)
        if certificate == self._loaded:
            return
        above = self._issued_by(certificate)
        chain = "".join(map(ssl.DER_cert_to_PEM_cert, (certificate, above.certificate)))
        for context in self._contexts:
            self._authority.keystore.load_into(context, ref, chain.encode())
        self._loaded = certificate

    def replace_revoked(self) -> None:
        """Renew now if the certificate in force was revoked: many may be, and this one among them.

        Cheaper than `renew`, which lists all keys.
        """
        if self._loaded is None:
            return
        serial = x509.load_der_x509_certificate(self._loaded).serial_number
        issuer = self._issued_by(self._loaded).name
        status = self._authority.store.find_status(issuer, serial)
        if status is None or status.state is not CertificateState.ISSUED:
            self.renew()

    def _ours(self) -> Iterator[tuple[KeyRef, bytes]]:
        """Pair each of our TLS keys with the certificate that holds for it and for our name."""
        # Not the keys of tokens: a token may take long to list them.
        for info in self._authority.keystore.backend_of(_ANY).list_keys():
            if not info.ref.startswith(_PREFIX):
                continue
            query = CertificateQuery(
                state=CertificateState.ISSUED,
                spki_fingerprint=hashlib.sha256(info.public_key).hexdigest(),
            )
            for record in self._authority.store.search_certificates(query).items:
                if record.der is not None and own_names(self._host) <= names_in(record.der):
                    yield info.ref, record.der

    def _issued_by(self, certificate: bytes) -> Issuer:
        """Return the generation that issued it: the one before serves until the next renewal."""
        parsed = x509.load_der_x509_certificate(certificate)
        key = parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        family = self._issuers.family(_ISSUER)
        return next(
            (one for one in family if one.surroundings().key_identifier == key.key_identifier),
            self._issuers[_ISSUER],
        )

    def _issue(self, now: datetime) -> tuple[KeyRef, bytes]:
        authority = self._authority
        ref = keyref.parse(f"{_PREFIX}{now:%Y%m%d}-{secrets.token_hex(4)}")
        info = authority.keystore.generate(ref, KeyAlgorithm.EC_P256)
        issued = issue_certificate(
            IssuanceRequest(
                spki=info.public_key,
                subject=(("CN", self._host),),
                requester=SYSTEM_ACTOR,
                alternative_names=tuple(sorted(own_names(self._host), key=str)),
            ),
            profile=authority.profiles["tls-server"],
            issuer=self._issuers[_ISSUER],
            store=authority.store,
            transactions=authority.transactions,
            audit=authority.audit,
            clock=authority.clock,
        )
        return ref, issued.der


def _end_of(pair: tuple[KeyRef, bytes]) -> datetime:
    return x509.load_der_x509_certificate(pair[1]).not_valid_after_utc
