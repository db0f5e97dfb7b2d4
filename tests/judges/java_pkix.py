"""Java's own PKIX relying party, asking over OCSP. RSA and EC only.

One Java process answers all questions of a test run.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.judges import JudgeSaysNo
from tests.judges.octets import files

_SOURCE = Path(__file__).parent / "java" / "Relying.java"


def ask_ocsp(*path: bytes, nonce: bool) -> str:
    """Validate the end of `path` under the CA before it; give what OCSP said: good or revoked."""
    java = _java()
    if java.stdin is None or java.stdout is None:
        raise RuntimeError("the process has no pipes")
    with files(anchor=path[-2], subject=path[-1]) as file:
        how = "nonce" if nonce else "plain"
        java.stdin.write("\t".join((how, *file.values())) + "\n")
        java.stdin.flush()
        answer = java.stdout.readline().strip()
    if answer.startswith("no "):
        raise JudgeSaysNo(f"Java: {answer}")
    if answer not in {"good", "revoked"}:
        raise RuntimeError(f"Java stopped: {answer}")
    return answer


@cache
def _java() -> subprocess.Popen[str]:
    """Compile and start the judge. It ends when this process closes the pipe."""
    classes = mkdtemp(prefix="judge-java-")
    subprocess.run(["javac", "-d", classes, str(_SOURCE)], check=True)
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
    return subprocess.Popen(
        ["java", *quick, "-cp", classes, "Relying"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
