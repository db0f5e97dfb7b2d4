"""NSS, as Firefox has it: `ocspclnt` and `vfychain` (Debian's libnss3-tools). RSA and EC only."""

from __future__ import annotations

import subprocess

from tests.judges import JudgeSaysNo
from tests.judges.command import ask
from tests.judges.octets import CERTIFICATE, files, pem

_GOOD, _REVOKED = " succeeded.", "Peer's Certificate has been revoked."


def ask_ocsp(*path: bytes, usage: str = "1") -> str:
    """Let both ask the responder that the end of `path` names; give their word: good or revoked.

    `vfychain` calls every failure "revoked", so only its yes counts; the word is `ocspclnt`'s.
    `usage` is NSS's number: 1 is a TLS server, 4 who signs mail.
    """
    with files(
        root=pem(CERTIFICATE, path[0]), issuer=pem(CERTIFICATE, path[-2]), subject=path[-1]
    ) as file:
        database = f"sql:{file['root'].removesuffix('/root')}"
        ask("certutil", "-N", "-d", database, "--empty-password")
        for name, trust in (("root", "CT,C,C"), ("issuer", ",,")):
            ask("certutil", "-A", "-d", database, "-n", name, "-t", trust, "-i", file[name])
        # ocspclnt exits with success whatever it was told.
        printed = ask("ocspclnt", "-S", file["subject"], "-d", database)
        must = ("-pp", "-g", "leaf", "-m", "ocsp", "-s", "failIfNoInfo")
        command = ["vfychain", "-d", database, *must, "-u", usage, file["subject"]]
        chain_is_good = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if (_GOOD in printed) != chain_is_good:
        raise JudgeSaysNo(f"ocspclnt: {printed.strip()}; vfychain: good is {chain_is_good}")
    if _GOOD in printed:
        return "good"
    if _REVOKED in printed:
        return "revoked"
    raise JudgeSaysNo(f"ocspclnt: {printed.strip()}")
