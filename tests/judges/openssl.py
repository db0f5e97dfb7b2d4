"""OpenSSL's command (Debian 12: 3.0).

It can be told the SM2 identifier for the end of a path and for a CSR, but not for a CRL, an OCSP
answer or a certificate in the middle: so paths are judged hop by hop, and SM2 CRLs and answers by
others.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.judges import SM2_ID, JudgeSaysNo
from tests.judges.command import ask
from tests.judges.octets import CERTIFICATE, CRL, files, pem

_SM2 = ("-vfyopt", f"distid:{SM2_ID}")


def verify_path(*path: bytes, sm2: bool) -> None:
    """Judge every hop of `path`, which starts with the root.

    The root's own signature only for RSA and EC: for SM2 OpenSSL looks at it without the
    identifier.
    """
    told = _SM2 if sm2 else ("-check_ss_sig",)
    for issuer, subject in pairwise(path if sm2 else (path[0], *path)):
        with files(issuer=pem(CERTIFICATE, issuer), subject=pem(CERTIFICATE, subject)) as file:
            strict = ("-x509_strict", "-partial_chain", *told, "-CAfile", file["issuer"])
            ask("openssl", "verify", *strict, file["subject"])


def verify_whole_path(*path: bytes) -> None:
    """Judge a whole RSA or EC path from the root on: path lengths and name constraints too."""
    with files(
        root=pem(CERTIFICATE, path[0]),
        between="".join(pem(CERTIFICATE, der) for der in path[1:-1]),
        subject=pem(CERTIFICATE, path[-1]),
    ) as file:
        between = ("-untrusted", file["between"]) if len(path) > 2 else ()
        trust = ("-x509_strict", "-CAfile", file["root"])
        ask("openssl", "verify", *trust, *between, file["subject"])


def verify_path_with_crls(
    *path: bytes, crls: tuple[bytes, ...], options: tuple[str, ...] = ()
) -> None:
    """Judge a whole RSA or EC path with the CRL of every issuer in it, root first."""
    with files(
        root=pem(CERTIFICATE, path[0]),
        between="".join(pem(CERTIFICATE, der) for der in path[1:-1]),
        subject=pem(CERTIFICATE, path[-1]),
        crls="".join(pem(CRL, der) for der in crls),
    ) as file:
        between = ("-untrusted", file["between"]) if len(path) > 2 else ()
        lists = ("-crl_check_all", "-CRLfile", file["crls"])
        trust = ("-CAfile", file["root"])
        judged = (*options, *lists, *trust, *between, file["subject"])
        ask("openssl", "verify", "-x509_strict", *judged)


def verify_request(csr: bytes, *, sm2: bool) -> None:
    """Judge a CSR's proof of possession."""
    with files(csr=csr) as file:
        told = _SM2 if sm2 else ()
        command = ("openssl", "req", "-verify", "-noout", "-inform", "DER", "-in", file["csr"])
        ask(*command, *told, says="verify OK")


def verify_crl(crl: bytes, *, issuer: bytes) -> None:
    """Judge the signature of an RSA or EC CRL."""
    with files(crl=crl, issuer=pem(CERTIFICATE, issuer)) as file:
        command = ("openssl", "crl", "-noout", "-inform", "DER", "-in", file["crl"])
        ask(*command, "-CAfile", file["issuer"], says="verify OK")


def verify_ocsp(response: bytes, *path: bytes, digest: str = "sha1") -> str:
    """Judge an RSA or EC answer about the end of `path`; give its word: good or revoked."""
    with files(
        root=pem(CERTIFICATE, path[0]),
        issuer=pem(CERTIFICATE, path[-2]),
        between="".join(pem(CERTIFICATE, der) for der in path[1:-1]),
        subject=pem(CERTIFICATE, path[-1]),
        response=response,
    ) as file:
        # The hash of the CertID, too, must be the one that was asked with.
        question = (f"-{digest}", "-issuer", file["issuer"], "-cert", file["subject"])
        between = ("-verify_other", file["between"]) if len(path) > 2 else ()
        answer = ("-respin", file["response"], "-no_nonce", "-CAfile", file["root"], *between)
        printed = ask("openssl", "ocsp", *question, *answer, says="Response verify OK")
    return _word(printed, file["subject"])


def ask_ocsp(url: str, *path: bytes, digest: str = "sha1", nonce: bool = True) -> str:
    """Ask the responder at `url` about the end of an RSA or EC `path`; give its word."""
    with files(
        root=pem(CERTIFICATE, path[0]),
        issuer=pem(CERTIFICATE, path[-2]),
        between="".join(pem(CERTIFICATE, der) for der in path[1:-1]),
        subject=pem(CERTIFICATE, path[-1]),
    ) as file:
        question = (f"-{digest}", "-issuer", file["issuer"], "-cert", file["subject"])
        between = ("-verify_other", file["between"]) if len(path) > 2 else ()
        peer = ("-url", url, "-nonce" if nonce else "-no_nonce", "-CAfile", file["root"], *between)
        printed = ask("openssl", "ocsp", *question, *peer, says="Response verify OK")
    if nonce and "WARNING: no nonce in response" in printed:
        raise JudgeSaysNo(printed)
    return _word(printed, file["subject"])


def fetch_ocsp(url: str, *, issuer: bytes, subject: bytes, digest: str) -> bytes:
    """Ask the responder at `url` and give its answer unjudged: for SM2, others judge it."""
    with files(
        issuer=pem(CERTIFICATE, issuer), subject=pem(CERTIFICATE, subject), response=b""
    ) as file:
        question = (f"-{digest}", "-issuer", file["issuer"], "-cert", file["subject"])
        peer = ("-url", url, "-no_nonce", "-noverify", "-respout", file["response"])
        ask("openssl", "ocsp", *question, *peer)
        return Path(file["response"]).read_bytes()


@dataclass(frozen=True, slots=True)
class OpenedPKCS12:
    """What `openssl pkcs12` finds in a file."""

    public_key: bytes
    """SubjectPublicKeyInfo of the private key, DER."""
    certificates: list[bytes]
    described: str


def open_pkcs12(octets: bytes, password: str) -> OpenedPKCS12:
    """Open a PKCS#12 file: its MAC, its key and its certificates."""
    with files(file=octets, password=password, key=b"", public=b"") as file:
        source = ("-in", file["file"], "-passin", f"file:{file['password']}")
        described = ask("openssl", "pkcs12", *source, "-info", "-noout")
        certificates = ask("openssl", "pkcs12", *source, "-nokeys")
        ask("openssl", "pkcs12", *source, "-nocerts", "-noenc", "-out", file["key"])
        ask("openssl", "pkey", "-in", file["key"], "-pubout", "-outform", "DER",
            "-out", file["public"])  # fmt: skip
        public_key = Path(file["public"]).read_bytes()
    blocks = re.findall("-----BEGIN CERTIFICATE-----([^-]+)-----END", certificates)
    return OpenedPKCS12(public_key, [b64decode(block) for block in blocks], described)


def decrypt_cms(octets: bytes, *, key: bytes) -> bytes:
    """Open EnvelopedData with a private key (PKCS#8, DER)."""
    with files(message=octets, key=key, out=b"") as file:
        source = ("-inform", "DER", "-in", file["message"])
        told = ("-inkey", file["key"], "-keyform", "DER", "-out", file["out"])
        ask("openssl", "cms", "-decrypt", "-binary", *source, *told)
        return Path(file["out"]).read_bytes()


def connect(name: str, port: int, *, trust: Path) -> None:
    """Judge the TLS certificate of a server on this machine for the host `name`."""
    peer = ("-connect", f"127.0.0.1:{port}", "-servername", name, "-verify_hostname", name)
    ask("openssl", "s_client", *peer, "-CAfile", str(trust), "-verify_return_error", "-brief")


def _word(printed: str, subject: str) -> str:
    for line in printed.splitlines():
        if line.startswith(f"{subject}: "):
            return line.removeprefix(f"{subject}: ")
    raise JudgeSaysNo(printed)
