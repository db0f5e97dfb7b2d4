"""GnuTLS's commands `certtool` and `ocsptool`. RSA and EC only: they do not know SM2's curve."""

from __future__ import annotations

from cryptography import x509

from tests.judges import JudgeSaysNo
from tests.judges.command import ask
from tests.judges.octets import CERTIFICATE, CRL, files, pem


def verify_path(*path: bytes) -> None:
    """Judge a path, root first."""
    with files(
        root=pem(CERTIFICATE, path[0]),
        path="".join(pem(CERTIFICATE, der) for der in reversed(path[1:])),
    ) as file:
        trust = ("--load-ca-certificate", file["root"])
        ask("certtool", "--verify", *trust, "--infile", file["path"], says="Chain verification")


def verify_crl(crl: bytes, *, issuer: bytes) -> None:
    """Judge a CRL's signature and dates."""
    with files(crl=pem(CRL, crl), issuer=pem(CERTIFICATE, issuer)) as file:
        trust = ("--load-ca-certificate", file["issuer"])
        ask("certtool", "--verify-crl", *trust, "--infile", file["crl"])


def verify_ocsp(response: bytes, *path: bytes) -> str:
    """Judge an answer about the end of `path`; give its word: good or revoked."""
    with files(
        response=response,
        issuer=pem(CERTIFICATE, path[-2]),
        subject=pem(CERTIFICATE, path[-1]),
    ) as file:
        about = ("--load-issuer", file["issuer"], "--load-cert", file["subject"])
        judged = ("--load-response", file["response"], "--load-trust", file["issuer"])
        printed = ask("ocsptool", "--verify-response", *judged, *about)
    return _status(printed, path[-1])


def ask_ocsp(url: str, *path: bytes) -> str:
    """Ask the responder at `url` about the end of `path`, with a nonce; give its word."""
    with files(
        issuer=pem(CERTIFICATE, path[-2]),
        subject=pem(CERTIFICATE, path[-1]),
    ) as file:
        about = ("--load-issuer", file["issuer"], "--load-cert", file["subject"])
        trust = ("--load-trust", file["issuer"], "--nonce")
        printed = ask("ocsptool", f"--ask={url}", *about, *trust)
    return _status(printed, path[-1])


def _status(printed: str, subject: bytes) -> str:
    # ocsptool does not look whether the answer is about this certificate, so we do.
    serial = x509.load_der_x509_certificate(subject).serial_number
    if int(_field(printed, "Serial Number"), 16) != serial:
        raise JudgeSaysNo("ocsptool: the answer is about another certificate")
    return _field(printed, "Certificate Status")


def _field(printed: str, name: str) -> str:
    for line in printed.splitlines():
        found, _, value = line.strip().partition(": ")
        if found == name:
            return value
    raise JudgeSaysNo(printed)
