"""The provider over real TLS on two ports, in this process: time is the test's to turn.

One port asks for no certificate, the other requires one, as `yinxin serve` does.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import jwt
import requests
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI

from authn.certlogin import VerifiedCertificate
from authn.oidc import routes_clients
from core.clock import Clock
from tests import databases
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.integration.provider import House, build
from tests.ports import free_ports
from yinxin.http1 import HTTPConnection


@dataclass
class ClientKey:
    """A key of a relying party, with a certificate for it."""

    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    algorithm: str
    kid: str
    certificate: x509.Certificate
    pem: Path

    @property
    def jwk(self) -> dict[str, object]:
        name = "RS256" if self.algorithm == "PS256" else self.algorithm
        made = jwt.get_algorithm_by_name(name).to_jwk(self.private.public_key(), as_dict=True)
        made.pop("key_ops", None)
        return {**made, "kid": self.kid}

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def jwks(self) -> dict[str, object]:
        return {"keys": [self.jwk | {"x5c": [base64.b64encode(self.der).decode()]}]}

    def sign(self, claims: dict, *, algorithm: str | None = None, **header) -> str:
        named = {"kid": self.kid} | header
        headers = {name: value for name, value in named.items() if value is not None}
        return jwt.encode(
            claims, self.private, algorithm=algorithm or self.algorithm, headers=headers
        )


def make_key(directory: Path, name: str, *, kind: str = "ES256") -> ClientKey:
    """Make a key and a self-signed certificate, also as PEM files for TLS."""
    if kind == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = rsa.generate_private_key(65537, 2048)
    subject = x509.Name.from_rfc4514_string(f"CN={name},O=Test")
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(private, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return ClientKey(private, kind, name, certificate, path)


@dataclass
class Served:
    """A running provider, and the keys of two relying parties."""

    house: House
    issuer: str
    mutual_tls: str
    trust: Path
    keys: dict[str, ClientKey] = field(default_factory=dict)
    opened: list[requests.Session] = field(default_factory=list)
    """Connections of browsers, to be closed before the server waits for their end."""

    @property
    def clock(self) -> FakeClock:
        return self.house.clock


@contextmanager
def serving(directory: Path, *, clock: Clock | None = None) -> Iterator[Served]:
    """Serve until the block ends."""
    port, tls_port = free_ports(2)
    issuer, mutual_tls = f"https://localhost:{port}", f"https://localhost:{tls_port}"
    own = make_key(directory, "server")
    keys = {name: make_key(directory, name) for name in ("one", "two")}
    keys["rsa"] = make_key(directory, "rsa", kind="PS256")
    database = databases.sqlite(directory, "oidf.sqlite3")
    house = build(
        database,
        audit=MemoryAuditLog(),
        clock=clock or FakeClock(),
        mutual_tls=mutual_tls,
        issuer=issuer,
    )
    for key in keys.values():
        # What a certificate of ours would be: known to the verifier that stands in for `ca`.
        house.verifier.known[key.der] = VerifiedCertificate(b"", "rsa-issuing", 1, b"", key.kid)
    machines = FastAPI()
    machines.router.routes.extend(
        routes_clients.make_client_router(house.provider.endpoints, origin=mutual_tls).routes
    )
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in (plain, asking):
        context.load_cert_chain(own.pem)
    asking.verify_mode = ssl.CERT_REQUIRED
    for key in keys.values():
        asking.load_verify_locations(cadata=key.der)
    servers = [_server(house.app, port, plain), _server(machines, tls_port, asking)]
    threads = [threading.Thread(target=server.run, daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    while not all(server.started for server in servers):
        threading.Event().wait(0.02)
    trust = directory / "trust.pem"
    trust.write_bytes(own.certificate.public_bytes(serialization.Encoding.PEM))
    served = Served(house, issuer, mutual_tls, trust, keys)
    try:
        yield served
    finally:
        for session in served.opened:
            session.close()
        for server in servers:
            server.should_exit = True
        for thread in threads:
            thread.join(timeout=60)
        database.close()


def _server(app: FastAPI, port: int, context: ssl.SSLContext) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http=HTTPConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        ssl_context_factory=lambda _config, _default: context,
    )
    return uvicorn.Server(config)


def decoded(token: str) -> dict[str, object]:
    """Return the claims of a JWT that was verified elsewhere."""
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
