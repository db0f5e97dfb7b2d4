"""Bouncy Castle (Debian's jars): RFC 5280 paths with CRLs, OCSP answers and CSRs; SM2, RSA and EC.

One Java process answers all questions of a test run.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.judges import JudgeSaysNo
from tests.judges.octets import files

_JARS = [f"/usr/share/java/{name}.jar" for name in ("bcprov", "bcpkix", "bcutil")]
_SOURCE = Path(__file__).parent / "java" / "Judge.java"


def verify_path(*path: bytes, crls: tuple[bytes, ...] = ()) -> None:
    """Judge a path, root first; with `crls` (one of every issuer) also that nothing is revoked."""
    certificates = {f"{place}.cer": der for place, der in enumerate(path)}
    lists = {f"{place}.crl": der for place, der in enumerate(crls)}
    _ask("path", **certificates, **lists)


def verify_crl(crl: bytes, *, issuer: bytes) -> None:
    """Judge a CRL's issuer, signature and dates."""
    _ask("crl", issuer=issuer, crl=crl)


def verify_request(csr: bytes) -> None:
    """Judge a CSR's proof of possession."""
    _ask("csr", csr=csr)


def verify_ocsp(response: bytes, *, issuer: bytes, subject: bytes) -> str:
    """Judge an answer and the delegation of its signer; give its word: good or revoked."""
    return _ask("ocsp", issuer=issuer, subject=subject, response=response)


def open_pkcs12(octets: bytes, password: str) -> str:
    """Open a PKCS#12 file with one key, use it, and give the length of its chain."""
    return _ask("pkcs12", file=octets, password=password.encode())


def _ask(word: str, **contents: bytes) -> str:
    java = _java()
    if java.stdin is None or java.stdout is None:
        raise RuntimeError("the process has no pipes")
    with files(**contents) as file:
        java.stdin.write("\t".join((word, *file.values())) + "\n")
        java.stdin.flush()
        answer = java.stdout.readline()
    verdict, _, detail = answer.strip().partition(" ")
    if verdict == "no":
        raise JudgeSaysNo(f"Bouncy Castle: {detail}")
    if verdict != "ok":
        raise RuntimeError(f"Bouncy Castle stopped: {answer}")
    return detail


@cache
def _java() -> subprocess.Popen[str]:
    """Compile and start the judge. It ends when this process closes the pipe."""
    classes = mkdtemp(prefix="judge-bc-")
    jars = ":".join(_JARS)
    subprocess.run(["javac", "-cp", jars, "-d", classes, str(_SOURCE)], check=True)
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
    return subprocess.Popen(
        ["java", *quick, "-cp", f"{jars}:{classes}", "Judge"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
