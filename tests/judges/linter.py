"""pkilint: the rules of RFC 5280 and RFC 6960. It reads SM2 and does not verify its signatures."""

from __future__ import annotations

from typing import Any

from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name, ocsp
from pkilint.validation import ValidationFindingSeverity

from tests.judges import JudgeSaysNo

_ATTRIBUTES = pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS)
_EXTENSIONS = pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS)


def lint_certificate(der: bytes) -> None:
    """Judge a certificate against RFC 5280. Says no at warnings, too."""
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
    _lint(rules, loader.RFC5280CertificateDocumentLoader(), der)


def lint_crl(der: bytes) -> None:
    """Judge a CRL against RFC 5280. Says no at warnings, too."""
    rules = crl.create_pkix_crl_validator_container(
        [_ATTRIBUTES, _EXTENSIONS],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    _lint(rules, loader.RFC5280CertificateListDocumentLoader(), der)


def lint_ocsp(der: bytes) -> None:
    """Judge an OCSP answer against RFC 6960. Says no at warnings, too."""
    rules = ocsp.create_pkix_ocsp_response_validator_container(
        [ocsp.create_response_decoder(), _ATTRIBUTES, _EXTENSIONS], []
    )
    _lint(rules, loader.RFC6960OCSPResponseDocumentLoader(), der)


def _lint(rules: Any, documents: Any, der: bytes) -> None:
    try:
        document = documents.load_der_document(der, "judged")
    except ValueError as error:
        raise JudgeSaysNo(f"pkilint: {error}") from error
    findings = [
        f"{description} at {result.node.path}"
        for result in rules.validate(document.root)
        for description in result.finding_descriptions
        if description.finding.severity <= ValidationFindingSeverity.WARNING
    ]
    if findings:
        raise JudgeSaysNo("pkilint: " + "; ".join(findings))
