"""A hierarchy of our own, with one certificate of every profile, a CRL of every CA, and OCSP."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from functools import partial
from pathlib import Path

from ca.altnames import AlternativeNameKind, parse_alternative_name
from ca.bootstrap import NewIssuer, create_root, create_subordinate
from ca.contents import IssuanceRequest
from ca.distribution import Scope
from ca.issuance import issue_certificate
from ca.issuer import Issued, Issuer
from ca.names import Attributes
from ca.profiles import CertificateProfile, load_profiles
from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from ca.sqlstore import SQLCertificateStore
from core.clock import SystemClock
from crl.config import CRLConfig, OCSPConfig
from crl.generation import CRLGenerator
from crl.ocsp.delegate import Delegates, ensure_delegate
from crl.ocsp.issuers import IssuerTable
from crl.ocsp.responder import Responder
from crl.sqlsegments import SQLSegmentStore
from crl.sqlstore import SQLCRLStore
from crl.status import StatusService
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from keystore.backend import KeyBackend
from tests import databases
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.keys import MemoryKeyBackend, memory_key
from tests.judges.octets import CERTIFICATE, files, pem

PROFILES = load_profiles()
END_ENTITY_PROFILES = [
    name
    for name, profile in PROFILES.items()
    if not profile.authority
    and {KeyAlgorithm.SM2, KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256}
    <= set(profile.key_algorithms)
]
"""Those that every family has; pairs are judged in `test_pairs`."""

_SUBJECT: dict[str, str] = {
    "C": "CN",
    "O": "示例市大数据局",
    "OU": "政务外网 & Co.",
    "CN": "gw.example.test",
    "serialNumber": "GW-0001",
}
_NAMES: dict[AlternativeNameKind, str] = {
    AlternativeNameKind.DNS: "dns:gw.example.test",
    AlternativeNameKind.IP: "ip:2001:db8::1",
    AlternativeNameKind.EMAIL: "email:zhang@example.test",
    AlternativeNameKind.URI: "uri:https://gw.example.test/id",
}
_IDENTITY: dict[str, str] = {
    "residentIdentityCard": "110101199001010011",
    "insuranceNumber": "INS-0001",
    "icRegistrationNumber": "IC-0001",
    "organizationCode": "12345678-9",
    "taxationNumber": "91110000000000000A",
}
_FAMILIES = {
    "sm2": (KeyAlgorithm.SM2, KeyAlgorithm.SM2),
    "rsa": (KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_2048),
    "ec": (KeyAlgorithm.EC_P384, KeyAlgorithm.EC_P256),
}


class Hierarchy:
    """root -> issuing -> one end entity for each profile and one revoked, all of one family."""

    def __init__(
        self,
        directory: Path,
        family: str,
        *,
        keys: KeyBackend | None = None,
        reference: str = "memory:object={name}",
    ) -> None:
        self.family = family
        self.sm2 = family == "sm2"
        self._authority_key, self._entity_key = _FAMILIES[family]
        database = databases.sqlite(directory, f"{family}.sqlite3")
        self._keys, self._reference = keys or MemoryKeyBackend(), reference
        self._store, self._crls = SQLCertificateStore(database), SQLCRLStore(database)
        self._segments = SQLSegmentStore(database)
        clock = SystemClock()
        self._transacting = {"transactions": database, "audit": MemoryAuditLog(), "clock": clock}
        self._root = create_root(
            self._new("root"),
            profile=PROFILES["root"],
            revocation_url="http://pki.example.test",
            keystore=self._keys,
            store=self._store,
            **self._transacting,
        )
        self._issuing = create_subordinate(
            self._new("issuing"),
            parent=self._root,
            profile=PROFILES["issuing-ca"],
            keystore=self._keys,
            store=self._store,
            **self._transacting,
        )
        self.root, self.issuing = self._root.certificate, self._issuing.certificate
        self.entities = {name: self._issue(PROFILES[name]) for name in END_ENTITY_PROFILES}
        self.revoked = self._revoked()
        self.root_crl, self.crl = self._generate(self._root), self._generate(self._issuing)
        self._responder = self._make_responder()

    @property
    def crls(self) -> tuple[bytes, bytes]:
        """The CRL of every CA in a path."""
        return self.root_crl, self.crl

    def path(self, profile: str) -> tuple[bytes, bytes, bytes]:
        """The path to the certificate of `profile`, root first."""
        return self.root, self.issuing, self.entities[profile]

    @property
    def revoked_path(self) -> tuple[bytes, bytes, bytes]:
        """The path to the revoked certificate."""
        return self.root, self.issuing, self.revoked

    def answer(self, issuer: bytes, subject: bytes, *, digest: str = "sha1") -> bytes:
        """Answer the request that OpenSSL makes about `subject`."""
        with files(
            issuer=pem(CERTIFICATE, issuer), subject=pem(CERTIFICATE, subject), request=b""
        ) as file:
            about = (f"-{digest}", "-issuer", file["issuer"], "-cert", file["subject"])
            command = ["openssl", "ocsp", *about, "-no_nonce", "-reqout", file["request"]]
            subprocess.run(command, check=True, capture_output=True)
            return self._responder.answer(Path(file["request"]).read_bytes()).der

    def _new(self, level: str) -> NewIssuer:
        name = f"{self.family}-{level}"
        subject = (("C", "CN"), ("O", "示例省政务服务和数据管理局"), ("CN", f"示例 {name}"))
        ref = keyref.parse(self._reference.format(name=name))
        return NewIssuer(name, subject, self._authority_key, ref)

    def _issue(self, profile: CertificateProfile) -> bytes:
        request = IssuanceRequest(
            spki=memory_key(self._entity_key).key.public_key,
            subject=_subject(profile),
            requester="judges",
            alternative_names=tuple(
                parse_alternative_name(_NAMES[kind]) for kind in profile.alternative_names.kinds
            ),
            identity=tuple(
                (item.name, _IDENTITY[item.name]) for item in profile.identity_extensions
            ),
        )
        return self._sign(request, self._issuing, profile=profile).der

    def _revoked(self) -> bytes:
        request = IssuanceRequest(
            spki=memory_key(self._entity_key).key.public_key,
            subject=(("CN", "revoked"),),
            requester="judges",
        )
        issued = self._sign(request, self._issuing, profile=PROFILES["device"])
        RevocationService(store=self._store, **self._transacting).revoke(
            issued.issuer, issued.serial, RevocationReason.KEY_COMPROMISE, actor="judges"
        )
        return issued.der

    def _sign(
        self, request: IssuanceRequest, issuer: Issuer, *, profile: CertificateProfile
    ) -> Issued:
        return issue_certificate(
            request, profile=profile, issuer=issuer, store=self._store, **self._transacting
        )

    def _generate(self, issuer: Issuer) -> bytes:
        generator = CRLGenerator(
            source=self._store,
            store=self._crls,
            segments=self._segments,
            partitionings=self._segments,
            config=CRLConfig(),
            **self._transacting,
        )
        return generator.complete(issuer, Scope(issuer.name)).der

    def _make_responder(self) -> Responder:
        config = OCSPConfig(signer_key=self._reference)
        for issuer in (self._root, self._issuing):
            ensure_delegate(
                issuer,
                store=self._crls,
                source=self._store,
                issue=partial(self._sign, profile=PROFILES["ocsp-signer"]),
                keystore=self._keys,
                config=config,
                **self._transacting,
            )
        clock = SystemClock()
        return Responder(
            IssuerTable((self._root, self._issuing)),
            Delegates(self._crls, self._store, self._keys),
            StatusService(self._store, retention=timedelta(hours=1), clock=clock),
            config=config,
            clock=clock,
        )


def _subject(profile: CertificateProfile) -> Attributes:
    taken = (*profile.subject.required, *profile.subject.optional)
    return tuple((short, value) for short, value in _SUBJECT.items() if short in taken)
