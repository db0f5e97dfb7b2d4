"""Lint: every rule over a certificate. Before signing, a finding blocks.

Our own rules look at every certificate. pkilint, and those of ours that the shape decides, look at
every new *shape* of one, or at every one (`LintMode`, docs/lint.md). Nothing here knows the code
that wrote the octets.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from enum import StrEnum
from typing import Final

from ca.lint_extensions import EXTENSION_RULES
from ca.lint_fields import FIELD_RULES
from ca.lint_frame import is_clean, take_apart
from ca.lint_gm import GM_RULES
from ca.lint_names import NAME_RULES
from ca.lint_pair import PAIR_RULES
from ca.lint_pkix import pkix_findings
from ca.lint_rule import Finding, Rule, Severity, finding
from ca.lint_shape import shape_of
from ca.lint_subject import Subject, read_certificate, read_tbs
from ca.lint_usage import USAGE_RULES
from core.errors import Malformed, Refused

RULES: Final = (*FIELD_RULES, *NAME_RULES, *USAGE_RULES, *EXTENSION_RULES, *GM_RULES)
"""Over one certificate."""
_OF_SHAPE: Final = tuple(rule for rule in RULES if rule.of_shape)
_OF_EACH: Final = tuple(rule for rule in RULES if not rule.of_shape)
_BEYOND_FRAME: Final = tuple(rule for rule in _OF_EACH if not rule.of_frame)

MAX_CERTIFICATE_OCTETS: Final = 64 * 1024
_MOST_SHAPES: Final = 4096
_UNREADABLE: Final = FIELD_RULES[0]


class LintFailure(Refused):
    """The to-be-signed octets break a rule."""


class LintMode(StrEnum):
    """Which certificates pkilint, and our rules that the shape decides, see before signing."""

    SHAPE = "shape"
    """The first of every shape since the start of the process."""
    EVERY = "every"


class Linter:
    """Lints before signing. Safe to share between threads."""

    def __init__(
        self, mode: LintMode = LintMode.SHAPE, *, accepted: Collection[str] = frozenset()
    ) -> None:
        self._mode = mode
        self._accepted = frozenset(accepted)
        self._clean: set[Hashable] = set()
        self._frames: set[Hashable] = set()

    def check_tbs(self, tbs: bytes, *, signature_algorithm: bytes, issuer: bytes | None) -> None:
        """Apply every rule. `issuer`: the DER of the issuer's certificate; None: self-signed.

        Raises `LintFailure` with every finding, and `Malformed` if the octets cannot be read.
        """
        framed = None
        if issuer is not None and self._mode is LintMode.SHAPE:
            framed = take_apart(tbs, signature_algorithm=signature_algorithm, issuer=issuer)
            if framed is not None and framed.frame in self._frames:
                self._require_none(_findings(_BEYOND_FRAME, framed.subject))
                return
        subject = read_tbs(tbs, signature_algorithm=signature_algorithm, issuer=issuer)
        found = (*_findings(_OF_EACH, subject), *self._of_shape(subject))
        if not found and framed is not None and is_clean(framed, subject):
            _remember(self._frames, framed.frame)
        self._require_none(found)

    def check_pair(self, signing: bytes, encryption: bytes, *, signature_algorithm: bytes) -> None:
        """Apply the rules on pairs to two TBS. Raises as `check_tbs`."""
        one, other = (
            # No rule on pairs looks at the issuer's certificate.
            read_tbs(tbs, signature_algorithm=signature_algorithm, issuer=None)
            for tbs in (signing, encryption)
        )
        self._require_none(pair_findings(one, other))

    def _of_shape(self, subject: Subject) -> tuple[Finding, ...]:
        """Return what the rules that the shape decides find, and pkilint."""
        # What signs itself is compared with itself, which no shape decides.
        if self._mode is LintMode.EVERY or subject.self_signed:
            return (*_findings(_OF_SHAPE, subject), *pkix_findings(subject))
        shape = shape_of(subject)
        if shape in self._clean:
            return ()
        found = (*_findings(_OF_SHAPE, subject), *pkix_findings(subject))
        # Only a clean shape is remembered: what is wrong with this one may be in its letters.
        if not found:
            _remember(self._clean, shape)
        return found

    def _require_none(self, findings: Iterable[Finding]) -> None:
        said = [
            f"{one.title} ({one.rule}; {one.clause})"
            for one in findings
            if one.rule not in self._accepted
        ]
        if said:
            raise LintFailure("the certificate was not signed: " + "; ".join(said))


DEFAULT_LINTER: Final = Linter()


def examine(octets: bytes, *, issuer: bytes | None = None) -> tuple[Finding, ...]:
    """Judge anybody's certificate, DER: every rule of ours, then pkilint.

    `issuer`: the certificate of its issuer, where that is known; without it the rules that compare
    the two are not applied.
    """
    if len(octets) > MAX_CERTIFICATE_OCTETS:
        raise Malformed(f"a certificate is at most {MAX_CERTIFICATE_OCTETS} octets")
    try:
        subject = read_certificate(octets, issuer=issuer)
    except Malformed as error:
        found = finding(_UNREADABLE)
        return (Finding(found.rule, found.severity, found.clause, f"{found.title}: {error}"),)
    return (*_findings(RULES, subject), *pkix_findings(subject))


def examine_pair(signing: bytes, encryption: bytes) -> tuple[Finding, ...]:
    """Apply the rules on pairs to two DER certificates. Raises `Malformed`."""
    return pair_findings(read_certificate(signing), read_certificate(encryption))


def pair_findings(signing: Subject, encryption: Subject) -> tuple[Finding, ...]:
    """Return what is wrong between the two halves."""
    return tuple(finding(rule) for rule in PAIR_RULES if not rule.holds(signing, encryption))


def _remember(known: set[Hashable], one: Hashable) -> None:
    if len(known) >= _MOST_SHAPES:
        known.clear()
    known.add(one)


def _findings(rules: Iterable[Rule], subject: Subject) -> tuple[Finding, ...]:
    return tuple([finding(rule) for rule in rules if not rule.holds(subject)])


def is_acceptable(rule: str) -> bool:
    """Whether a deployment may decide to live with the findings of a rule.

    pkilint's, and our warnings; never an error of ours.
    """
    warnings = {known.id for known in RULES if known.severity is Severity.WARNING}
    return rule in warnings or rule.startswith(("pkix.", "base.", "itu."))
