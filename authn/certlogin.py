"""Logging in with a certificate: a challenge, signed by its key.

Browsers do not speak SM2 in TLS, and USB keys are reached through middleware of their vendor: so
a signature over a text that a person can read is the primary way, and TLS client authentication
the second. Both end in the same binding of a subject to a user.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple, Protocol

from authn import levels, opaque
from authn.config import AuthnConfig
from authn.levels import Method, SessionCertificate
from authn.login import Throttle
from authn.store import Binding, CertificateLoginStore, Challenge, User, UserStore
from core import observe
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, InvalidSignature, Malformed, NotFound, Refused, Unauthenticated
from core.transaction import Transactions
from keystore import sm2_forms, verify
from keystore.algorithms import KeyAlgorithm


@dataclass(frozen=True, slots=True)
class VerifiedCertificate:
    """A certificate that holds now, and may be used to log in."""

    subject: bytes
    """DER Name."""
    issuer: str
    """The issuer's name in this service."""
    serial: int
    spki: bytes
    fingerprint: str
    in_hardware: bool = False
    """Its profile says that the key was made in a device and never leaves it."""


class CertificateVerifier(Protocol):
    """Vouches for certificates. `yinxin.wiring` fulfils it; `authn` does not know `ca`."""

    def verify_login_certificate(
        self, der: bytes, *, intermediates: Sequence[bytes] = ()
    ) -> VerifiedCertificate:
        """Check chain, validity, key usage (digitalSignature) and our own revocation status.

        Raises `Malformed`, `Refused` and `InvalidSignature`.
        """
        ...


class Answer(Protocol):
    """What came back for a challenge: a certificate, and a signature by its key."""

    @property
    def certificates(self) -> Sequence[bytes]:
        """The signer's first; issuers may follow."""
        ...

    def verify(self, message: bytes, *, spki: bytes) -> None:
        """Check that the key `spki` signed `message`.

        Raises `InvalidSignature`, `Malformed`, `Refused`. CMS messages (`keystore.signeddata`) are
        such answers, too.
        """
        ...


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A signature alone, beside its certificate."""

    certificates: Sequence[bytes]
    signature: bytes

    def verify(self, message: bytes, *, spki: bytes) -> None:
        verify_answer(spki, message, self.signature)


class Proven(NamedTuple):
    """Who showed a certificate, and how strongly that counts."""

    user: User
    method: Method


class CertificateLogin:
    """Gives out challenges, and turns answers into users."""

    def __init__(
        self,
        store: CertificateLoginStore,
        users: UserStore,
        verifier: CertificateVerifier,
        *,
        config: AuthnConfig,
        throttle: Throttle,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._users = users
        self._verifier = verifier
        self._issuer = config.issuer
        self._lifetime = timedelta(minutes=config.login.challenge_minutes)
        self._throttle = throttle
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def challenge(self, browser: str) -> str:
        """Return a nonce that the browser with this cookie may answer once."""
        nonce = secrets.token_urlsafe(32)
        expires_at = self._clock.now() + self._lifetime
        self._store.add_challenge(Challenge(nonce, opaque.digest(browser), expires_at))
        return nonce

    def message(self, nonce: str) -> str:
        """Return the text to sign (its ASCII octets, without a line end)."""
        # The issuer is in the text, so that a signature made for another site is worth nothing.
        return f"yinxin-login:v1:{self._issuer}:{nonce}"

    def authenticate(self, nonce: str, answer: Answer, *, browser: str, address: str) -> Proven:
        """Return whose certificate answered, and how.

        Raises `Throttled`, and `Unauthenticated` with the reason: a person with a certificate
        needs to know whether it has expired, and the reason helps nobody to guess a key.
        """
        self._throttle.charge(address)
        try:
            certificate, user = self._judge(nonce, answer, browser)
        except (Malformed, Refused, InvalidSignature, NotFound) as error:
            observe.LOGINS.labels(method="certificate", result="failed").inc()
            detail = {"method": "certificate", "address": address, "why": str(error)[:200]}
            self._audit.record("login.failed", actor="anonymous", detail=detail)
            raise Unauthenticated(str(error)) from error
        with self._transactions.transaction():
            self._throttle.refund(address)
            self._audit.record(
                "login.succeeded",
                actor=user.name,
                detail={
                    "user": user.name,
                    "method": "certificate",
                    "address": address,
                    "certificate": certificate.fingerprint,
                },
            )
        observe.LOGINS.labels(method="certificate", result="succeeded").inc()
        return Proven(user, method_of(certificate))

    def _judge(self, nonce: str, answer: Answer, browser: str) -> tuple[VerifiedCertificate, User]:
        # The challenge goes first: whatever else is wrong, it cannot be tried again.
        if not self._store.use_challenge(nonce, opaque.digest(browser), self._clock.now()):
            raise Refused("the challenge has expired or was answered; ask for a new one")
        if not answer.certificates:
            raise Malformed("there is no certificate in the answer")
        first, *others = answer.certificates
        certificate = self._verifier.verify_login_certificate(first, intermediates=others)
        answer.verify(self.message(nonce).encode("ascii"), spki=certificate.spki)
        return certificate, self._user_of(certificate)

    def user_of_certificate(self, der: bytes) -> User:
        """Return whose certificate it is, after TLS proved the key.

        Raises `Malformed`, `Refused`, `InvalidSignature`, `NotFound`.
        """
        return self.of_certificate(der)[0].user

    def of_certificate(self, der: bytes) -> tuple[Proven, str]:
        """Return whose it is and how strongly that counts, and its fingerprint; raises the same."""
        certificate = self._verifier.verify_login_certificate(der)
        proven = Proven(self._user_of(certificate), method_of(certificate))
        return proven, certificate.fingerprint

    def _user_of(self, certificate: VerifiedCertificate) -> User:
        digest = hashlib.sha256(certificate.subject).digest()
        binding = self._store.find_binding(certificate.issuer, digest)
        user = None if binding is None else self._users.find(binding.user_id)
        if binding is None or user is None or user.disabled:
            raise NotFound("the certificate holds, but it is not bound to a user of this service")
        if binding.key_digest not in (None, _key_digest(certificate)):
            raise NotFound("an administrator's certificate is bound with its key: bind the new one")
        return user

    def bind_presented(self, user: User, chain: Sequence[bytes], *, actor: str) -> Binding:
        """Bind the subject of a certificate that is shown. Raises `Conflict`, and as the verifier.

        An administrator is bound to the key too: else whoever approves certificates could issue
        one for the same subject, and take over a line of administration that is not theirs.
        """
        certificate = self._verifier.verify_login_certificate(chain[0], intermediates=chain[1:])
        binding = Binding(
            id=str(uuid.uuid4()),
            issuer=certificate.issuer,
            subject_digest=hashlib.sha256(certificate.subject).digest(),
            user_id=user.id,
            created_at=self._clock.now(),
            key_digest=None if user.role is None else _key_digest(certificate),
            serial=f"{certificate.serial:x}",
        )
        with self._transactions.transaction():
            self._store.add_binding(binding)
            detail = {
                "user": user.name,
                "issuer": certificate.issuer,
                "subject": certificate.subject.hex(),
                "fingerprint": certificate.fingerprint,
            }
            self._audit.record("binding.created", actor=actor, detail=detail)
        return binding

    def bind_own(self, user: User, certificate: bytes) -> bool:
        """Bind what a person picked up themselves; return whether it logs them in from now on.

        False: it is not for logging in, it is bound to somebody else, or the person administers
        this service. What lets an administrator in is for their peers to say (`rolechanges`).
        """
        if user.role is not None:
            return False
        try:
            shown = self._verifier.verify_login_certificate(certificate)
            known = self._store.find_binding(shown.issuer, hashlib.sha256(shown.subject).digest())
            if known is None:
                self.bind_presented(user, [certificate], actor=user.name)
        except (Refused, Conflict):
            return False
        return known is None or known.user_id == user.id

    def list_bindings(self) -> Sequence[Binding]:
        """Return every binding, oldest first."""
        return self._store.list_bindings()

    def list_of(self, user: User) -> Sequence[Binding]:
        """Return the bindings of one person, oldest first."""
        return self._store.list_bindings_of(user.id)

    def unbind(self, binding_id: str, *, actor: str) -> None:
        """Remove a binding. Raises `NotFound`."""
        with self._transactions.transaction():
            if not self._store.remove_binding(binding_id):
                raise NotFound("there is no such binding")
            self._audit.record("binding.removed", actor=actor, detail={"id": binding_id})


def method_of(certificate: VerifiedCertificate) -> Method:
    """Return what a login with this certificate is worth, and on which it stands."""
    kind = levels.HARDWARE_KEY if certificate.in_hardware else levels.CERTIFICATE
    shown = SessionCertificate(certificate.issuer, f"{certificate.serial:x}")
    return replace(kind, certificate=shown)


def _key_digest(certificate: VerifiedCertificate) -> bytes:
    return hashlib.sha256(certificate.spki).digest()


def verify_answer(spki: bytes, message: bytes, signature: bytes) -> None:
    """Check the signature of an answer under the certificate's key.

    SM2 signatures come as DER (openssl, most middleware) or as raw r||s of 64 octets (SKF).
    Raises `InvalidSignature`, `Malformed`.
    """
    algorithm = verify.key_algorithm(spki)
    is_der = signature[:2] == bytes((0x30, 62))
    if algorithm is KeyAlgorithm.SM2 and len(signature) == 64 and not is_der:
        signature = sm2_forms.signature_from_raw(signature)
    verify.verify_signature(spki, algorithm.default_signature, message, signature)
