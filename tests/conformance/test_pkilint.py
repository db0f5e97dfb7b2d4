"""pkilint reports neither an error nor a warning about anything we sign."""

from __future__ import annotations

import pytest

from tests.conformance.hierarchy import END_ENTITY_PROFILES, Hierarchy
from tests.judges.linter import lint_certificate, lint_crl, lint_ocsp

pytestmark = pytest.mark.judge


def test_the_certificates_of_the_authorities(ours: Hierarchy) -> None:
    lint_certificate(ours.root)
    lint_certificate(ours.issuing)


@pytest.mark.parametrize("profile", END_ENTITY_PROFILES)
def test_the_certificate_of_a_profile(profile: str, ours: Hierarchy) -> None:
    lint_certificate(ours.entities[profile])


def test_the_lists(ours: Hierarchy) -> None:
    lint_crl(ours.root_crl)
    lint_crl(ours.crl)


def test_the_answers(ours: Hierarchy) -> None:
    lint_ocsp(ours.answer(ours.root, ours.issuing))
    lint_ocsp(ours.answer(ours.issuing, ours.entities["device"]))
    lint_ocsp(ours.answer(ours.issuing, ours.revoked))
