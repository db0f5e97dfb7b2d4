"""GmSSL 3.1.1's command, which PyPI's `easy-gmssl` builds from source. SM2 only."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.judges.command import ask
from tests.judges.octets import CERTIFICATE, REQUEST, files, pem

_HOME = Path.home() / ".gmssl_3.1.1_install"


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


def _ask(*arguments: str, says: str = "") -> None:
    library = {"LD_LIBRARY_PATH": str(_HOME / "lib")}
    ask(str(_HOME / "bin" / "gmssl"), *arguments, says=says, environment=library)
