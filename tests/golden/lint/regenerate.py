"""Make the lint corpus again: `python -m tests.golden.lint.regenerate`.

Keys and signatures are new each time; what the certificates say is not.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ca.formats import pem
from ca.lint_pkix import pkix_findings
from ca.lint_subject import read_certificate
from core.errors import Malformed
from tests.golden.lint.bad import BAD, BAD_PAIRS
from tests.golden.lint.good import GOOD, LEAF

HERE = Path(__file__).parent
HEAD = """# A corpus of good and bad certificates

Made by `python -m tests.golden.lint.regenerate`, with a builder (`build.py`) that shares no code
with the one that writes our certificates. Nothing is protected by any of the keys, and they are
not kept. Free to use (the licence of this repository).

* `good/`: no rule says anything.
* `bad/`: named by the one rule of ours that says something (`yinxin lint --rules`); the last
  column is what pkilint says of the same file, for comparison.
* `pairs/`: encryption certificates, bad only beside `good/sm2-signing.pem`.

`tests/unit/ca/test_lint_corpus.py` holds every line of this table to be true.

| file | issuer | what it is, or what is wrong | pkilint |
|---|---|---|---|
"""


def ber_of(octets: bytes) -> bytes:
    """The outer SEQUENCE with indefinite length: BER, and not DER."""
    body = octets[2 + (octets[1] & 0x7F) :]
    return b"\x30\x80" + body + b"\x00\x00"


def main() -> None:
    logging.disable()
    files: dict[str, tuple[bytes, str | None, str]] = {
        f"good/{name}": (spec.der(), issuer, why) for name, (spec, issuer, why) in GOOD.items()
    }
    files["bad/x509.der"] = (ber_of(LEAF.der()), "sm2-issuing", "BER with indefinite length")
    for folder, cases in (("bad", BAD), ("pairs", BAD_PAIRS)):
        for rule, (spec, issuer, what) in cases.items():
            files[f"{folder}/{rule}"] = (spec.der(), issuer, what)
    lines = []
    for path, (octets, issuer, what) in files.items():
        target = HERE / f"{path}.pem"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(pem(octets))
        above = None if issuer is None else files[f"good/{issuer}"][0]
        named = "itself" if issuer is None else f"good/{issuer}.pem"
        lines.append(f"| {path}.pem | {named} | {what} | {pkilint_of(octets, above)} |\n")
    (HERE / "MANIFEST.md").write_text(HEAD + "".join(lines), encoding="utf-8")


def pkilint_of(octets: bytes, issuer: bytes | None) -> str:
    try:
        found = pkix_findings(read_certificate(octets, issuer=issuer))
    except Malformed:
        return "-"
    return " ".join(sorted(one.rule for one in found)) or "-"


if __name__ == "__main__":
    main()
