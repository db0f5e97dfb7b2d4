"""What OCSP clients are asked about: certificates of a running plane, and a responder that lies."""

from __future__ import annotations

import dataclasses
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ca.altnames import parse_alternative_name
from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuer import Issuer, Reserved
from ca.serials import random_serial
from tests.conformance.hierarchy import PROFILES
from tests.unit.crl.world import World

HOST = "gw.example.test"

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

    def __init__(self, world: World, family: str, url: str) -> None:
        self._world = world
        self._issuer: Issuer = dataclasses.replace(
            world.issuers[f"{family}-issuing"], revocation_url=url
        )

    def good(self) -> Certified:
        """Issue one, as any other."""
        world, (request, key) = self._world, _request()
        issued = issue_certificate(
            request,
            profile=PROFILES["device"],
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
        request, key = _request()
        serial = random_serial()
        prepared = self._issuer.prepare(
            request, profile=PROFILES["device"], serial=serial, now=self._world.clock.now()
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


def _request() -> tuple[IssuanceRequest, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    request = IssuanceRequest(
        spki=key.public_key().public_bytes(serialization.Encoding.DER, public),
        subject=(("C", "CN"), ("CN", HOST)),
        requester="judges",
        alternative_names=(parse_alternative_name(f"dns:{HOST}"),),
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return request, pem.decode()


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
