"""Whom we believe when we call an application: the system's CAs, and our own."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from ca.issuer import Issuer
from ca.issuers import Issuers
from core.outbound import OutboundConfig, trusting


def trust_applications(config: OutboundConfig, issuers: Issuers) -> ssl.SSLContext:
    """Return a context that follows `issuers`: applications have certificates of ours, mostly."""
    context = trusting(config, "")
    issuers.listen(lambda coming: context.load_verify_locations(cadata=pem_of(coming)))
    return context


def pem_of(issuers: Mapping[str, Issuer]) -> str:
    """Return the certificates of all issuers, one after the other."""
    return "".join(ssl.DER_cert_to_PEM_cert(one.certificate) for one in issuers.values())
