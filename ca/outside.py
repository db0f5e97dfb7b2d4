"""What outside CAs give us: a certificate for a key of ours, taken up or refused with a reason.

Two kinds. The answer to a `request` ceremony makes an issuer, with the outside CAs above it. A
cross-certificate of an issuer that we have is another way to the same key, and is served beside
its chain (`/ca/{issuer}.p7c`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.ceremony import Act, Ceremony
from ca.ceremony_plan import subject_of
from ca.ceremony_run import AuthorityStore
from ca.names import encode_name
from ca.store import IssuerRecord
from core import der
from core.audit import AuditLog
from core.clock import Clock
from core.errors import InvalidSignature, NotFound, Refused
from core.transaction import Transactions
from keystore.algorithms import signature_algorithm
from keystore.backend import KeyBackend
from keystore.verify import verify_signature

MAX_ABOVE: Final = 5


@dataclass(frozen=True, slots=True)
class OutsideCAs:
    """Takes up certificates of outside CAs."""

    store: AuthorityStore
    keystore: KeyBackend
    transactions: Transactions
    audit: AuditLog
    clock: Clock

    def take_up(
        self,
        ceremony: Ceremony,
        certificate: x509.Certificate,
        above: Sequence[x509.Certificate],
        *,
        actor: str,
    ) -> None:
        """Make the issuer that a `request` ceremony asked for. `above`: parent first, root last.

        Raises `Refused` when the certificate is not for that key and name, or the chain is broken.
        """
        description = ceremony.description
        if description.act is not Act.REQUEST:
            raise Refused("this ceremony file is no request: its certificate is ours already")
        signer = self.keystore.signer(description.key_ref, description.signature)
        subject = subject_of(certificate)
        if subject.spki != signer.key.public_key:
            raise Refused(f"the certificate is for another key than {signer.key.ref}")
        if subject.name != encode_name(description.attributes()):
            raise Refused(f"the certificate names {subject.text}, which was not asked for")
        if not 1 <= len(above) <= MAX_ABOVE:
            raise Refused(f"1 to {MAX_ABOVE} certificates are above it, not {len(above)}")
        for child, parent in zip((certificate, *above), (*above, above[-1]), strict=True):
            self._check_signed(child, parent)
        now = self.clock.now()
        with self.transactions.transaction():
            self.store.add_issuer(
                IssuerRecord(
                    name=description.name,
                    parent=None,
                    key_ref=signer.key.ref,
                    signature_algorithm=signer.algorithm,
                    certificate=_octets(certificate),
                    created_at=now,
                )
            )
            self.store.add_above(description.name, [_octets(one) for one in above], now=now)
            self.audit.record(
                "issuer.imported",
                actor=actor,
                detail={
                    "issuer": description.name,
                    "key": signer.key.ref,
                    "by": subject_of(above[0]).text,
                },
            )

    def add_cross_certificate(
        self, issuer: str, certificate: x509.Certificate, by: x509.Certificate, *, actor: str
    ) -> None:
        """Serve a certificate of `issuer`'s key that the outside CA `by` issued.

        Raises `Refused` when it is not for that name and key, or not signed by that CA.
        """
        record = self.store.find_issuer(issuer)
        if record is None:
            raise NotFound(f"there is no issuer {issuer}")
        ours = subject_of(x509.load_der_x509_certificate(record.certificate))
        theirs = subject_of(certificate)
        if (theirs.name, theirs.spki) != (ours.name, ours.spki):
            raise Refused(f"the certificate is not for the name and the key of {issuer}")
        if certificate.issuer.public_bytes() == ours.name:
            raise Refused(f"{issuer} signed this itself: a cross-certificate is another CA's")
        self._check_signed(certificate, by)
        with self.transactions.transaction():
            now = self.clock.now()
            if self.store.add_cross_certificate(issuer, _octets(certificate), now=now):
                self.audit.record(
                    "crosscertificate.added",
                    actor=actor,
                    detail={"issuer": issuer, "by": subject_of(by).text},
                )

    def _check_signed(self, child: x509.Certificate, parent: x509.Certificate) -> None:
        name = child.subject.rfc4514_string()
        if child.issuer.public_bytes() != parent.subject.public_bytes():
            raise Refused(f"{name} was not issued by {parent.subject.rfc4514_string()}")
        tbs, identifier, signature = der.split_signed(_octets(child), what="the certificate")
        try:
            verify_signature(
                subject_of(parent).spki, signature_algorithm(identifier), tbs, signature
            )
        except InvalidSignature as error:
            raise Refused(f"the signature of {name} is not by the CA that is given") from error
        if not child.not_valid_before_utc <= self.clock.now() <= child.not_valid_after_utc:
            raise Refused(f"{name} is not valid now")


def _octets(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
