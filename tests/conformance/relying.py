"""What OCSP clients are asked about: certificates of a running plane, and a responder that lies."""

from __future__ import annotations

import dataclasses
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ca.altnames import parse_alternative_name
from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuer import Issuer, Reserved
from ca.serials import random_serial
from core.clock import SystemClock
from crl.config import CRLConfig, OCSPConfig, RevocationConfig
from keystore.algorithms import KeyAlgorithm
from tests import databases
from tests.conformance.hierarchy import PROFILES
from tests.fakes.audit import MemoryAuditLog
from tests.integration.plane import running_plane
from tests.unit.crl.world import World
from yinxin import server

HOST = "gw.example.test"

FAMILIES = {
    "rsa": ("rsa", KeyAlgorithm.RSA_2048),
    "ec": ("ec", KeyAlgorithm.EC_P256),
    "rsa-signed-by-ec": ("rsa", KeyAlgorithm.EC_P256),
    "rsa-direct": ("rsa", None),
    "ec-direct": ("ec", None),
}
"""The issuer's kind, and the key of the delegated responder under an RSA issuer; None: the CA's
own key signs the answers."""

Tamper = Callable[[bytes, bytes], bytes]
"""From the request and the true answer to the one that is sent."""


@dataclasses.dataclass(frozen=True)
class Certified:
    """A certificate that names its responder, with its path (root first) and its key (PEM)."""

    path: tuple[bytes, bytes, bytes]
    key: str
    serial: int


class Certifier:
    """Issues, under one issuing CA of `world`, certificates whose responder is at `url`."""

    def __init__(
        self, world: World, family: str, url: str, *, profile: str = "device", name: str = HOST
    ) -> None:
        self._world = world
        self._profile, self._name = PROFILES[profile], name
        self._issuer: Issuer = dataclasses.replace(
            world.issuers[f"{family}-issuing"], revocation_url=url
        )

    def good(self) -> Certified:
        """Issue one, as any other."""
        world, (request, key) = self._world, self._request()
        issued = issue_certificate(
            request,
            profile=self._profile,
            issuer=self._issuer,
            store=world.store,
            transactions=world.database,
            audit=world.audit,
            clock=world.clock,
        )
        return Certified(self._path(issued.der), key, issued.serial)

    def revoked(self) -> Certified:
        """Issue one and revoke it."""
        made = self.good()
        self._world.revocation.hold(self._issuer.name, made.serial, actor="tester")
        return made

    def unknown(self) -> Certified:
        """Sign one that no store hears of: as if a thief had the key of the CA."""
        request, key = self._request()
        serial = random_serial()
        prepared = self._issuer.prepare(
            request, profile=self._profile, serial=serial, now=self._world.clock.now()
        )
        signed = self._issuer.sign(
            Reserved(
                issuer=prepared.issuer,
                serial=serial,
                profile=prepared.profile,
                tbs=prepared.tbs,
                signature_algorithm=prepared.signature_algorithm,
                requester=prepared.requester,
            )
        )
        return Certified(self._path(signed.der), key, serial)

    def _path(self, leaf: bytes) -> tuple[bytes, bytes, bytes]:
        return self._issuer.chain[-1], self._issuer.certificate, leaf

    def _request(self) -> tuple[IssuanceRequest, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        public = serialization.PublicFormat.SubjectPublicKeyInfo
        kind = "email" if "@" in self._name else "dns"
        request = IssuanceRequest(
            spki=key.public_key().public_bytes(serialization.Encoding.DER, public),
            subject=(("C", "CN"), ("CN", self._name)),
            requester="judges",
            alternative_names=(parse_alternative_name(f"{kind}:{self._name}"),),
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return request, pem.decode()


@dataclasses.dataclass(frozen=True)
class Asked:
    """A running responder with one certificate of each status."""

    world: World
    family: str
    url: str
    certifier: Certifier
    good: Certified
    revoked: Certified
    unknown: Certified


@contextmanager
def running(directory: Path, name: str) -> Iterator[Asked]:
    """Run the plane over an authority of one family; its files go into `directory`."""
    family, signer = FAMILIES[name]
    database = databases.sqlite(directory, f"{name}.sqlite3")
    sock = server.bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    config = OCSPConfig(
        signer_key="memory:object={name}",
        rsa_issuer_signer=signer or KeyAlgorithm.EC_P256,
        direct_issuers=frozenset() if signer else frozenset({f"{family}-issuing"}),
    )
    world = World(
        database,
        family,
        clock=SystemClock(),
        audit=MemoryAuditLog(),
        config=RevocationConfig(crl=CRLConfig(), ocsp=config),
        revocation_url=url,
    )
    with running_plane(world, sock=sock):
        certifier = Certifier(world, family, url)
        made = (certifier.good(), certifier.revoked(), certifier.unknown())
        yield Asked(world, family, f"{url}/ocsp", certifier, *made)


@contextmanager
def lying(world: World, tamper: Tamper) -> Iterator[str]:
    """Serve answers of `world` as `tamper` changes them; give the URL under which ``/ocsp`` is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b64decode(unquote(self.path).removeprefix("/ocsp/").lstrip("/")))

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, request: bytes) -> None:
            body = tamper(request, world.responder.answer(request).der)
            self.send_response(200)
            self.send_header("Content-Type", "application/ocsp-response")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
