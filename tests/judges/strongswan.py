"""strongSwan's `pki --verify --online`: its revocation plugin, as a gateway uses it. RSA and EC."""

from __future__ import annotations

from tests.judges import JudgeSaysNo
from tests.judges.command import ask
from tests.judges.octets import CERTIFICATE, files, pem

# With CRLs it would fall back to one when OCSP says nothing, and exit with success even then.
_CONFIGURATION = "pki { plugins { revocation { enable_crl = no\n} } }\n"
_WORDS = {"certificate status is good": "good", "certificate was revoked on ": "revoked"}


def ask_ocsp(*path: bytes) -> str:
    """Ask the responder that the end of `path` names, with a nonce; give its word."""
    with files(
        configuration=_CONFIGURATION,
        subject=pem(CERTIFICATE, path[-1]),
        **{f"ca{place}": pem(CERTIFICATE, der) for place, der in enumerate(path[:-1])},
    ) as file:
        trust = [
            word for name in file if name.startswith("ca") for word in ("--cacert", file[name])
        ]
        try:
            printed = ask(
                *("pki", "--verify", "--in", file["subject"], *trust, "--online"),
                environment={"STRONGSWAN_CONF": file["configuration"]},
            )
        except JudgeSaysNo as refusal:
            # Its exit code says whether the chain is trusted; the word is in what it prints.
            printed = str(refusal)
    found = [word for line, word in _WORDS.items() if line in printed]
    if len(found) != 1:
        raise JudgeSaysNo(f"pki: {printed}")
    return found[0]
