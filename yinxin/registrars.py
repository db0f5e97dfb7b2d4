"""The authority's side of registration authorities that run apart."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

from authn.certlogin import CertificateVerifier
from ca.asking import PARTS, answer
from ca.counter import Counter
from ca.countercheck import CounterCheck
from ca.exchange import collect
from ca.outcomes import Outcomes
from ca.registrars import Registrar, Registrars
from ca.sqlregistrars import SQLRegistrarStore
from core.errors import Forbidden, TrustError
from core.peer import Peer, key_fingerprint
from yinxin.authority_link import AuthorityLink
from yinxin.login_certificates import OurCertificates
from yinxin.wiring import Ground, Service

log = logging.getLogger(__name__)

_AT_ONCE = 8


def open_registrars(ground: Ground) -> Registrars:
    """Return the registry; it needs no key."""
    return Registrars(
        SQLRegistrarStore(ground.database),
        ground.registration.rights,
        transactions=ground.database,
        audit=ground.audit,
        clock=ground.clock,
    )


@dataclass(frozen=True, slots=True)
class RegistrarDesk:
    """Who they are, the counter they come to, and the rounds to those that do not call."""

    registrars: Registrars
    counter: Counter
    check: CounterCheck
    verifier: CertificateVerifier
    link: AuthorityLink
    timeout_seconds: float
    peers: dict[Registrar, Peer] = field(default_factory=dict)

    @classmethod
    def assemble(cls, service: Service) -> Self:
        """Put it together over a running authority."""
        ground = service.ground
        return cls(
            registrars=open_registrars(ground),
            counter=Counter(
                enrollment=service.enrollment,
                replacements=service.operations.desks.replacements,
                outcomes=Outcomes(service.operations.desks.deliveries),
                revocation=service.revocation,
                certificates=service.authority.store,
                organisations=ground.registration.organisations,
                rights=ground.registration.rights,
                reviews=service.reviews,
                done=SQLRegistrarStore(ground.database),
                transactions=ground.database,
                accept_empty_sm2_id=ground.settings.ca.accept_empty_sm2_id,
            ),
            check=CounterCheck(
                service.dry_run,
                ground.registration.rights,
                accept_empty_sm2_id=ground.settings.ca.accept_empty_sm2_id,
            ),
            verifier=OurCertificates(
                service.issuers,
                service.statuses,
                service.authority.store,
                service.authority.profiles,
                clock=ground.clock,
            ),
            link=service.link,
            timeout_seconds=ground.settings.registration.timeout_seconds,
        )

    def require(self, certificate: bytes | None) -> Registrar:
        """Return who shows this certificate, if it holds now. Raises `Forbidden`, `Refused`."""
        if certificate is None:
            raise Forbidden("a registration authority shows its certificate")
        self.verifier.verify_login_certificate(certificate)
        return self.registrars.require(key_fingerprint(certificate))

    def collect(self) -> None:
        """Do what waits at every registration authority that is called from here."""
        called = [item for item in self.registrars.list_registrars() if item.url is not None]
        for gone in set(self.peers) - set(called):
            self.peers.pop(gone).close()
        if called:
            # One that hangs keeps nobody else waiting.
            with ThreadPoolExecutor(min(_AT_ONCE, len(called))) as pool:
                list(pool.map(self._collect, called))

    def _collect(self, registrar: Registrar) -> None:
        if registrar not in self.peers:
            self.peers[registrar] = Peer(
                registrar.url or "",
                name=f"the registration authority {registrar.name}",
                keys=frozenset({registrar.key}),
                context=self.link.context,
                timeout_seconds=self.timeout_seconds,
                check=self.verifier.verify_login_certificate,
            )
        try:
            # Acts have their turn between the parts of a long table.
            for _ in range(PARTS):
                self._collect_acts(registrar)
                checked = answer(
                    lambda rows: self.check.check(registrar, rows), self.peers[registrar]
                )
                if not checked:
                    break
        except TrustError as error:
            log.warning(
                "a registration authority was not served",
                extra={"registrar": registrar.name, "reason": str(error)},
            )

    def _collect_acts(self, registrar: Registrar) -> None:
        collect(
            lambda act: self.counter.perform(registrar, act),
            self.counter.branch(registrar),
            self.peers[registrar],
        )
