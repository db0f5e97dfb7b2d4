"""Whom we believe when we call an application: the system's CAs, and our own."""

from __future__ import annotations

import ssl

from ca.issuers import Issuers
from core.outbound import OutboundConfig, trusting


def trust_applications(config: OutboundConfig, issuers: Issuers) -> ssl.SSLContext:
    """Return a context that follows `issuers`: applications have certificates of ours, mostly."""

    def pem() -> str:
        return "".join(ssl.DER_cert_to_PEM_cert(one.certificate) for one in issuers.values())

    context = trusting(config, pem())
    issuers.listen(lambda: context.load_verify_locations(cadata=pem()))
    return context
