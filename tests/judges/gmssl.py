"""GmSSL 3.1.1's command, which PyPI's `easy-gmssl` builds from source. SM2 only."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import time
from base64 import b64decode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from core import der
from keystore import sm2_forms
from tests.judges import JudgeSaysNo
from tests.judges.command import ask
from tests.judges.octets import CERTIFICATE, REQUEST, files, pem
from tests.ports import free_ports

_HOME = Path.home() / ".gmssl_3.1.1_install"
_LIBRARY = {"LD_LIBRARY_PATH": str(_HOME / "lib")}
_PASSWORD = "judge"


def verify_path(*path: bytes, distinguishing_id: str | None = None) -> None:
    """Judge a path, root first: signatures, names, dates, constraints, key usage."""
    with files(
        root=pem(CERTIFICATE, path[0]),
        path="".join(pem(CERTIFICATE, der) for der in reversed(path[1:])),
    ) as file:
        told = () if distinguishing_id is None else ("-sm2_id", distinguishing_id)
        trust = ("-cacert", file["root"])
        _ask("certverify", "-in", file["path"], *trust, *told, says="Verification success")


def verify_pair(root: bytes, issuing: bytes, *, signing: bytes, encryption: bytes) -> None:
    """Judge both certificates of a TLCP pair under their authorities. Says nothing of usages."""
    with files(
        root=pem(CERTIFICATE, root),
        path="".join(pem(CERTIFICATE, der) for der in (signing, encryption, issuing)),
    ) as file:
        chain = ("-in", file["path"], "-cacert", file["root"], "-double_certs")
        _ask("certverify", *chain, says="Verification success")


def verify_crl(crl: bytes, *, issuer: bytes) -> None:
    """Judge a CRL's signature."""
    with files(crl=crl, issuer=pem(CERTIFICATE, issuer)) as file:
        _ask("crlverify", "-in", file["crl"], "-cacert", file["issuer"], says="success")


def verify_request(csr: bytes) -> None:
    """Judge a CSR. `reqsign` checks the proof of possession before it signs."""
    key, certificate = _throwaway_ca()
    with files(csr=pem(REQUEST, csr)) as file:
        ca = ("-cacert", certificate, "-key", key, "-pass", "judge")
        out = f"{file['csr']}.cer"
        _ask("reqsign", "-in", file["csr"], "-days", "1", *ca, "-out", out)


def make_request(common_name: str) -> bytes:
    """Let GmSSL make a CSR, for readers of ours; give its DER."""
    key, _ = _throwaway_ca()
    with files(csr=b"") as file:
        name = ("-C", "CN", "-ST", "x", "-L", "x", "-O", "x", "-OU", "x", "-CN", common_name)
        _ask("reqgen", *name, "-key", key, "-pass", "judge", "-out", file["csr"])
        return b64decode(Path(file["csr"]).read_bytes().split(b"-----")[2])


@cache
def _throwaway_ca() -> tuple[str, str]:
    directory = mkdtemp(prefix="judge-gmssl-")
    key, certificate = f"{directory}/key.pem", f"{directory}/ca.pem"
    _ask("sm2keygen", "-pass", "judge", "-out", key, "-pubout", f"{directory}/public.pem")
    name = ("-C", "CN", "-ST", "x", "-L", "x", "-O", "x", "-OU", "x", "-CN", "judge")
    rest = ("-days", "1", "-key", key, "-pass", "judge", "-ca", "-key_usage", "keyCertSign")
    _ask("certgen", *name, *rest, "-out", certificate)
    return key, certificate


@dataclass(frozen=True, slots=True)
class TLCPServer:
    """What a TLCP server is given: PEM chain (signing, encryption, issuers) and PKCS#8 keys."""

    chain: str
    signing_key: bytes
    encryption_key: bytes


def shake_hands(server: TLCPServer, *, trust: str) -> None:
    """Judge a pair by a TLCP handshake (GB/T 38636) of GmSSL's server and GmSSL's client.

    The client takes no authority that is valid for more than ten years.
    """
    (port,) = free_ports(1)
    keys = {
        "signing": _encrypted(server.signing_key),
        "encryption": _encrypted(server.encryption_key),
    }
    with files(chain=server.chain, trust=trust, **keys) as file:
        own = ("-cert", file["chain"], "-key", file["signing"], "-pass", _PASSWORD)
        other = ("-ex_key", file["encryption"], "-ex_pass", _PASSWORD)
        listening = subprocess.Popen(
            [_HOME / "bin" / "gmssl", "tlcp_server", "-port", str(port), *own, *other],
            env={**os.environ, **_LIBRARY},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await(port, listening)
            peer = ("-host", "127.0.0.1", "-port", str(port), "-cacert", file["trust"])
            _ask("tlcp_client", *peer, says="Connection established")
        finally:
            listening.kill()
            listening.wait()


def _encrypted(pkcs8: bytes) -> str:
    """Encrypt a key as GmSSL reads it: PBES2 with HMAC-SM3 as 1.2.156.10197.1.401.2, SM4-CBC.

    Inside it wants an ECPrivateKey with its curve.
    """
    scalar, point = sm2_forms.decode_pkcs8(pkcs8)
    sec1 = sm2_forms.encode_sec1(scalar, point)
    inner = der.sequence(der.encode(0), sm2_forms.KEY_ALGORITHMS[0], der.encode(sec1))
    salt, iv = secrets.token_bytes(8), secrets.token_bytes(16)
    key = hashlib.pbkdf2_hmac("sm3", _PASSWORD.encode(), salt, 65_536, 16)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.SM4(key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padder.update(inner) + padder.finalize()) + encryptor.finalize()
    cost = (der.encode(salt), der.encode(65_536), der.encode(16))
    derivation = der.sequence(
        _oid("1.2.840.113549.1.5.12"),
        der.sequence(*cost, der.sequence(_oid("1.2.156.10197.1.401.2"))),
    )
    cipher = der.sequence(_oid("1.2.156.10197.1.104.2"), der.encode(iv))
    scheme = der.sequence(_oid("1.2.840.113549.1.5.13"), der.sequence(derivation, cipher))
    return pem("ENCRYPTED PRIVATE KEY", der.sequence(scheme, der.encode(sealed)))


def _oid(dotted: str) -> bytes:
    return der.encode(der.oid(dotted))


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server listens. Connecting would be its one handshake."""
    for _ in range(3000):
        table = Path("/proc/net/tcp").read_text(encoding="ascii")
        if f":{port:04X} 00000000:0000 0A" in table:
            return
        if server.poll() is not None:
            raise JudgeSaysNo(f"gmssl tlcp_server does not start: exit {server.returncode}")
        time.sleep(0.02)
    raise RuntimeError("gmssl tlcp_server does not listen")


def _ask(*arguments: str, says: str = "") -> None:
    ask(str(_HOME / "bin" / "gmssl"), *arguments, says=says, environment=_LIBRARY)
