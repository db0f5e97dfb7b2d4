"""A small hierarchy that OpenSSL makes, so that the judges can be judged without our code."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.judges import SM2_ID

_CONFIGURATION = """
[ca]
default_ca = ca
database = {directory}/index.txt
crlnumber = {directory}/crlnumber
default_md = {digest}
default_crl_days = 7
crl_extensions = crl
[crl]
authorityKeyIdentifier = keyid
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[sub]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ocsp]
keyUsage = critical, digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = NULL
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""

_KEYS = {
    "sm2": ("EC", "ec_paramgen_curve:SM2"),
    "ec": ("EC", "ec_paramgen_curve:P-256"),
    "rsa": ("RSA", "rsa_keygen_bits:2048"),
}


class OpenSSLHierarchy:
    """root -> sub -> {leaf, revoked, ocsp}, with CRLs and OCSP answers, under one directory."""

    def __init__(self, directory: Path, algorithm: str, *, distid: str = SM2_ID) -> None:
        self.sm2 = algorithm == "sm2"
        self._directory = directory
        self._algorithm = algorithm
        self._digest = "sm3" if self.sm2 else "sha256"
        self._distid = distid
        configuration = _CONFIGURATION.format(directory=directory, digest=self._digest)
        self._file("openssl.cnf").write_text(configuration)
        self._file("crlnumber").write_text("01\n")
        self.root = self._make("root", None)
        self.sub = self._make("sub", "root")
        self.leaf = self._make("leaf", "sub")
        self.revoked = self._make("revoked", "sub")
        self._make("ocsp", "sub")
        self.csr = self._file("leaf.csr").read_bytes()
        self._file("index.txt").write_text("")
        self.root_crl = self._crl("root")
        self._file("index.txt").write_text(
            f"V\t400101000000Z\t\t{self._serial('leaf')}\tunknown\t/CN=leaf\n"
            f"R\t400101000000Z\t260101000000Z\t{self._serial('revoked')}\tunknown\t/CN=revoked\n"
        )
        self.crl = self._crl("sub")
        self.good_answer = self._answer("leaf")
        self.revoked_answer = self._answer("revoked")

    @property
    def path(self) -> tuple[bytes, bytes, bytes]:
        """The good path, root first."""
        return self.root, self.sub, self.leaf

    @property
    def revoked_path(self) -> tuple[bytes, bytes, bytes]:
        """The path to the certificate on the CRL."""
        return self.root, self.sub, self.revoked

    def _make(self, name: str, issuer: str | None) -> bytes:
        key, request = self._file(f"{name}.key"), self._file(f"{name}.csr")
        kind, option = _KEYS[self._algorithm]
        _openssl("genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", key)
        asked = ("-new", "-key", key, "-subj", f"/C=CN/O=Judges/CN={name}", "-out", request)
        _openssl("req", f"-{self._digest}", *asked, "-outform", "DER", *self._signing())
        section = name if name in {"root", "sub", "ocsp"} else "leaf"
        extensions = ("-extfile", self._file("openssl.cnf"), "-extensions", section)
        signed_by = (
            ("-signkey", key)
            if issuer is None
            else ("-CA", self._file(f"{issuer}.cer"), "-CAkey", self._file(f"{issuer}.key"))
        )
        told = ("-vfyopt", f"distid:{self._distid}", *self._signing()) if self.sm2 else ()
        out = ("-days", "30", "-out", self._file(f"{name}.cer"))
        _openssl(
            *("x509", "-req", "-inform", "DER", "-in", request, f"-{self._digest}"),
            *(*signed_by, *extensions, *told, *out),
        )
        return _openssl("x509", "-in", self._file(f"{name}.cer"), "-outform", "DER")

    def _crl(self, issuer: str) -> bytes:
        ca = ("-cert", self._file(f"{issuer}.cer"), "-keyfile", self._file(f"{issuer}.key"))
        configured = ("-config", self._file("openssl.cnf"))
        made = _openssl("ca", *configured, "-gencrl", *ca, *self._signing())
        return _openssl("crl", "-outform", "DER", given=made)

    def _answer(self, name: str) -> bytes:
        request, response = self._file(f"{name}.ocsp"), self._file(f"{name}.answer")
        issuer = self._file("sub.cer")
        about = ("-issuer", issuer, "-cert", self._file(f"{name}.cer"))
        _openssl("ocsp", *about, "-no_nonce", "-reqout", request)
        signer = ("-rsigner", self._file("ocsp.cer"), "-rkey", self._file("ocsp.key"))
        told = ("-rsigopt", f"distid:{self._distid}") if self.sm2 else ()
        _openssl(
            *("ocsp", "-index", self._file("index.txt"), "-CA", issuer, *signer),
            *("-rmd", self._digest, *told, "-ndays", "1"),
            *("-reqin", request, "-respout", response),
        )
        return response.read_bytes()

    def _signing(self) -> tuple[str, ...]:
        return ("-sigopt", f"distid:{self._distid}") if self.sm2 else ()

    def _serial(self, name: str) -> str:
        printed = _openssl("x509", "-in", self._file(f"{name}.cer"), "-noout", "-serial")
        return printed.decode().strip().removeprefix("serial=")

    def _file(self, name: str) -> Path:
        return self._directory / name


def _openssl(*arguments: str | Path, given: bytes | None = None) -> bytes:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], input=given, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments}: {done.stderr.decode()}")
    return done.stdout
