"""Hosts beside an authority, brought up as docs/deployment.md says."""

from __future__ import annotations

import json
from pathlib import Path

from tests.service import Service


def certify(host: Service, authority: Service, work: Path) -> str:
    """Give a new host its key and the authority's certificate; return its fingerprint."""
    work.mkdir(exist_ok=True)
    token, csr, chain = work / "token", work / "host.csr", work / "host.pem"
    token.write_text(authority.token())
    host.yinxin("host", "request", "--role", host.role, "--out", csr)
    words = ("--profile", "device", "--issuer", "rsa-issuing", "--token-file", token)
    asked = json.loads(authority.yinxin("request", "submit", csr, *words))
    made = json.loads(authority.yinxin("request", "approve", asked["id"], "--token-file", token))
    authority.yinxin(
        "certificate", "fetch", "rsa-issuing", made["certificate"]["serial"],
        "--format", "chain", "--out", chain, "--token-file", token,
    )  # fmt: skip
    host.yinxin("host", "install", chain, "--root", authority.root)
    return host.yinxin("host", "key")


def key_management_apart(work: Path) -> tuple[Service, Service]:
    """Start an authority and a key management centre that know each other."""
    authority = Service(work / "ca").start()
    centre = Service(
        work / "km",
        {
            "YINXIN_KEY_MANAGEMENT__AUTHORITY_KEYS": json.dumps([authority.yinxin("host", "key")]),
            "YINXIN_KEY_MANAGEMENT__REFILL_SECONDS": "1",
        },
        role="km",
    )
    fingerprint = certify(centre, authority, work / "certify")
    centre.start()
    authority.stop()
    authority.environment |= {
        "YINXIN_KEY_MANAGEMENT__URL": f"https://localhost:{centre.mutual_tls_port}",
        "YINXIN_KEY_MANAGEMENT__CENTRE_KEYS": json.dumps([fingerprint]),
        "YINXIN_KEY_MANAGEMENT__TIMEOUT_SECONDS": "1.5",
        "YINXIN_KEY_MANAGEMENT__REFILL_SECONDS": "1",
    }
    return authority.start(), centre
