"""pkilint, a linter that others wrote: the rules of RFC 5280 over the whole structure.

It costs some ten times what our own rules and the signature cost together, so
docs/decisions/0095 says how often it is asked.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from ca.lint_gm import is_sm2_key
from ca.lint_names import is_dns_name
from ca.lint_rule import Finding, Severity
from ca.lint_subject import Subject
from core import der

_DUMMY_SIGNATURE: Final = bytes(8)
_DIVERGENCES: Final[dict[str, Callable[[Subject, str], bool]]] = {
    # docs/divergences.md: SM2 encrypts, which the curves of RFC 8813 do not.
    "pkix.key_usage_value_prohibited_for_ec": lambda s, _: is_sm2_key(s),
    # The AKI may be left out by a root that signs itself (RFC 5280, 4.2.1.1); pkilint tells one by
    # its signature, which it cannot verify with SM2, and which does not exist before signing.
    "pkix.authority_key_identifier_extension_absent": lambda s, _: s.self_signed,
    # pkilint takes public names only: no wildcard, and no host of one label as intranets have.
    "pkix.invalid_domain_name_syntax": lambda _, said: _is_private_host(said),
    "pkix.invalid_email_address_syntax": lambda _, said: _is_private_host(said, behind="@"),
    "pkix.invalid_uri_syntax": lambda _, said: _is_private_host(said, behind="://"),
}
_lock: Final = threading.Lock()


def pkix_findings(s: Subject) -> tuple[Finding, ...]:
    """Return what pkilint finds, errors and warnings, each once, by its own codes."""
    octets = der.signed_object(s.tbs, s.algorithm, s.signature or _DUMMY_SIGNATURE)
    found: dict[str, Finding] = {}
    with _lock:
        for finding in _examine(octets):
            excused = _DIVERGENCES.get(finding.rule)
            if excused is None or not excused(s, finding.title):
                found.setdefault(finding.rule, finding)
    return tuple(found.values())


def _examine(octets: bytes) -> list[Finding]:
    rules, documents, severities = _pkilint()
    try:
        document = documents.load_der_document(octets, "certificate")
    except ValueError as error:
        return [Finding("pkix.unreadable", Severity.ERROR, "pkilint", str(error))]
    return [
        Finding(
            description.finding.code,
            severities[description.finding.severity],
            "pkilint",
            _sentence(result, description),
        )
        for result in rules.validate(document.root)
        for description in result.finding_descriptions
        if description.finding.severity in severities
    ]


def _is_private_host(said: str, *, behind: str = "") -> bool:
    """Whether pkilint's sentence quotes a name that is right but for being public."""
    value = said.partition('"')[2].partition('"')[0]
    before, mark, host = value.partition(behind) if behind else ("", "", value)
    if behind and not (before and mark):
        return False
    host = re.split(r"[/?#:]", host, maxsplit=1)[0]
    return ("." not in host or host.startswith("*.")) and is_dns_name(host.encode())


def _sentence(result: Any, description: Any) -> str:
    said = f"{description.message}; " if description.message else ""
    return f"{said}at {result.node.path}"


@cache
def _pkilint() -> tuple[Any, Any, dict[Any, Severity]]:
    # Importing it takes a fifth of a second, which a command that lints nothing shall not pay.
    from pkilint import loader  # noqa: PLC0415
    from pkilint.pkix import certificate, extension, name  # noqa: PLC0415
    from pkilint.validation import ValidationFindingSeverity as Found  # noqa: PLC0415

    # It logs a stack for values it cannot read, and reports them as a finding as well.
    logging.getLogger("pkilint").setLevel(logging.CRITICAL)
    rules = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(
            name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
        ),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    severities = {
        Found.FATAL: Severity.ERROR,
        Found.ERROR: Severity.ERROR,
        Found.WARNING: Severity.WARNING,
    }
    return rules, loader.RFC5280CertificateDocumentLoader(), severities
