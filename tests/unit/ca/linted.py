"""pkilint sees the same certificate of a test's world once a process: it is half of making one.

The keys of such worlds are the same in every test (`tests.fakes.keys`), so their certificates
differ in serial numbers and instants, which pkilint has nothing to say about. Tests of lint do
without.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ca import lint
from ca.lint_pkix import pkix_findings
from ca.lint_rule import Finding
from ca.lint_subject import Subject
from core import der

_clean: set[str] = set()


@contextmanager
def linted_once() -> Iterator[None]:
    """While it lasts, what was found clean is not read again. Our own rules are asked always."""
    asked = lint.pkix_findings
    if asked is pkix_findings:  # else a test says what is found
        lint.pkix_findings = _findings
    try:
        yield
    finally:
        lint.pkix_findings = asked


def _findings(subject: Subject) -> tuple[Finding, ...]:
    fields = subject.fields
    same = (
        fields.version,
        fields.serial.bit_length() // 8,
        [kind for kind, _ in subject.times],
        [der.octets_of(one) for one in (fields.issuer, fields.subject, fields.spki)],
        [(one.oid, one.critical, one.value) for one in fields.extensions or ()],
        subject.algorithm,
    )
    key = repr(same)
    if key in _clean:
        return ()
    found = pkix_findings(subject)
    if not found:
        _clean.add(key)
    return found
