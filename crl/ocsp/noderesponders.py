"""Delegated responders of a node: its own keys, certified by the authority over mutual TLS."""

from __future__ import annotations

import json
import logging
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final

from cryptography import x509

from ca.names import check_attributes, encode_name
from ca.store import CertificateState, StatusReader
from ca.tbs import parse_tbs
from core import der
from core.clock import Clock
from core.errors import Refused, TrustError, Unavailable
from crl.config import OCSPConfig
from crl.ocsp.delegate import Delegate
from crl.ocsp.issuers import Known
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from keystore.backend import KeyBackend, Signer
from keystore.files import write_new
from keystore.keyref import KeyRef
from keystore.verify import key_algorithm

log = logging.getLogger(__name__)

Certify = Callable[[str, bytes], bytes]
"""Asks the authority: the issuer's name and a PKCS#10 request (DER) to a certificate (DER)."""

_OF_THE_ISSUER: Final = frozenset(
    {KeyAlgorithm.SM2, KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384, KeyAlgorithm.ED25519}
)
_KEPT: Final = 4
"""Responders an issuer is remembered to have had: answers they signed may still hold."""


@dataclass(frozen=True, slots=True)
class _Responder:
    key: KeyRef
    certificate: bytes
    not_before: datetime
    not_after: datetime
    serial: int

    @classmethod
    def of(cls, key: KeyRef, certificate: bytes) -> _Responder:
        parsed = x509.load_der_x509_certificate(certificate)
        begin, end = parsed.not_valid_before_utc, parsed.not_valid_after_utc
        return cls(key, certificate, begin, end, parsed.serial_number)

    @property
    def half_life(self) -> datetime:
        return self.not_before + (self.not_after - self.not_before) / 2


class NodeResponders:
    """`crl.ocsp.delegate.DelegateSource` of one node. Safe to share between threads.

    What it has is in a file of the node's state, so that it signs after a restart without the
    authority.
    """

    def __init__(
        self,
        path: Path,
        statuses: StatusReader,
        keystore: KeyBackend,
        certify: Certify,
        *,
        config: OCSPConfig,
        clock: Clock,
    ) -> None:
        self._path = path
        self._statuses = statuses
        self._keystore = keystore
        self._certify = certify
        self._config = config
        self._clock = clock
        self._lock = Lock()
        self._responders = _read(path)
        self._ready: dict[bytes, Delegate] = {}

    def current(self, issuer: Known, now: datetime) -> Delegate:
        """Return the one that signs for `issuer`. Raises `Unavailable` when there is none."""
        ends = x509.load_der_x509_certificate(issuer.certificate).not_valid_after_utc
        for one in self._usable(issuer.name, now):
            ready = self._ready.get(one.certificate)
            if ready is None:
                signer = self._keystore.signer(one.key)
                ready = Delegate(one.certificate, signer, min(one.not_after, ends))
                self._ready[one.certificate] = ready
            if now < ready.usable_until:
                return ready
        raise Unavailable(f"this node has no OCSP responder for {issuer.name} at the moment")

    def renew(self, issuers: Iterable[Known]) -> None:
        """Get a new responder for every issuer whose youngest one is past half of its life.

        Each has a new key. One that fails does not stop the others. For a job.
        """
        now = self._clock.now()
        for issuer in issuers:
            if any(now < one.half_life for one in self._usable(issuer.name, now)):
                continue
            try:
                self._add(issuer)
            except TrustError as error:
                log.warning(
                    "no OCSP responder was certified",
                    extra={"issuer": issuer.name, "reason": str(error)},
                )

    def _add(self, issuer: Known) -> None:
        name = f"ocsp-{issuer.name}-{self._clock.now():%Y%m%d}-{secrets.token_hex(4)}"
        template = self._config.signer_key_of.get(issuer.name, self._config.signer_key)
        of_issuer = key_algorithm(_spki(issuer.certificate))
        algorithm = of_issuer if of_issuer in _OF_THE_ISSUER else self._config.rsa_issuer_signer
        info = self._keystore.generate(keyref.parse(template.format(name=name)), algorithm)
        signer = self._keystore.signer(info.ref)
        certificate = self._certify(issuer.name, _request(signer, name))
        if _spki(certificate) != signer.key.public_key:
            raise Refused("the authority certified another key than ours")
        with self._lock:
            mine = (_Responder.of(info.ref, certificate), *self._responders.get(issuer.name, ()))
            self._responders[issuer.name] = mine[:_KEPT]
            _write(self._path, self._responders)
        log.info("an OCSP responder was certified", extra={"issuer": issuer.name, "key": name})

    def _usable(self, issuer: str, now: datetime) -> list[_Responder]:
        return [
            one
            for one in self._responders.get(issuer, ())
            if one.not_before <= now < one.not_after and self._holds(issuer, one.serial)
        ]

    def _holds(self, issuer: str, serial: int) -> bool:
        # id-pkix-ocsp-nocheck: nobody else looks. A new one may not have come by the log yet.
        status = self._statuses.find_status(issuer, serial)
        return status is None or status.state is CertificateState.ISSUED


def _request(signer: Signer, name: str) -> bytes:
    """Return a PKCS#10 request (RFC 2986) for the signer's key."""
    subject = encode_name(check_attributes((("CN", name[:64]),)))
    body = der.sequence(der.encode(0), subject, signer.key.public_key, der.wrap(0xA0))
    return der.signed_object(body, signer.algorithm.identifier, signer.sign(body))


def _spki(certificate: bytes) -> bytes:
    tbs = parse_tbs(der.split_signed(certificate, what="the certificate")[0])
    return der.octets_of(tbs.spki)


def _read(path: Path) -> dict[str, tuple[_Responder, ...]]:
    try:
        tree = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return {}
    return {
        issuer: tuple(
            _Responder.of(keyref.parse(key), b64decode(certificate)) for key, certificate in some
        )
        for issuer, some in tree.items()
    }


def _write(path: Path, responders: dict[str, tuple[_Responder, ...]]) -> None:
    tree = {
        issuer: [(one.key, b64encode(one.certificate).decode()) for one in some]
        for issuer, some in responders.items()
    }
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    write_new(temporary, json.dumps(tree).encode("ascii"))
    temporary.replace(path)
