"""Keys and certificates of applications that are known by them (RFC 8705)."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509

from tests.hosts import issue
from tests.relying_parties.scene import Holder, Scene


def of_ours(scene: Scene, name: str) -> Holder:
    """Make a key, and have a certificate of ours for it."""
    made = Holder(scene.directory / f"{name}.key", scene.directory / f"{name}.pem")
    csr = scene.directory / f"{name}.csr"
    _openssl("-keyout", made.key, "-out", csr, "-subj", f"/C=CN/O=Relying/CN={name}.example.cn")
    made.chain.write_bytes(issue(scene.caller("business"), csr.read_text(), "device"))
    return made


def self_signed(scene: Scene) -> Holder:
    """Make a key and a certificate that nobody else signed."""
    made = Holder(scene.directory / "own.key", scene.directory / "own.pem")
    _openssl("-x509", "-days", "2", "-keyout", made.key, "-out", made.chain, "-subj", "/CN=own")
    return made


def _openssl(*words: str | Path) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    subprocess.run(["openssl", "req", "-new", *key, *words], check=True, capture_output=True)


def certificate_of(holder: Holder) -> x509.Certificate:
    """Return the first certificate of a chain."""
    return x509.load_pem_x509_certificate(holder.chain.read_bytes())


def der_of(holder: Holder) -> bytes:
    """Return its octets."""
    return base64.b64decode("".join(holder.chain.read_text().split("-----")[2].split()))


def name_of(holder: Holder) -> dict[str, str]:
    """Return what a client of `tls_client_auth` is registered with."""
    return {"tls_client_auth_subject_dn": certificate_of(holder).subject.rfc4514_string()}


def jwks_of(holder: Holder) -> dict[str, Any]:
    """Return what a client of `self_signed_tls_client_auth` is registered with, as `jwks`."""
    key: Any = certificate_of(holder).public_key()
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key))
    return {"keys": [jwk | {"x5c": [base64.b64encode(der_of(holder)).decode()]}]}
