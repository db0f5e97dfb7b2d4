"""What a lint rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ca.lint_subject import Subject


class Severity(StrEnum):
    """How bad a finding is in somebody else's certificate. Before signing, both block."""

    ERROR = "error"
    """A standard says MUST."""
    WARNING = "warning"
    """A standard says SHOULD, or some relying parties refuse it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule over one certificate."""

    id: str
    severity: Severity
    clause: str
    title: str
    """What holds, as a sentence."""
    holds: Callable[[Subject], bool]
    """Whether it does; also where it does not apply, or the issuer it needs is not known."""
    of_shape: bool = False
    """Whether it looks at nothing but what stands in the shape (`ca.lint_shape`)."""
    of_frame: bool = False
    """Whether it looks at nothing but what stands in the frame (`ca.lint_frame`)."""


@dataclass(frozen=True, slots=True)
class PairRule:
    """One rule over the signing and the encryption certificate of a pair."""

    id: str
    severity: Severity
    clause: str
    title: str
    holds: Callable[[Subject, Subject], bool]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that a certificate breaks."""

    rule: str
    severity: Severity
    clause: str
    title: str


def finding(rule: Rule | PairRule) -> Finding:
    """Return what is said of a certificate that breaks `rule`."""
    return Finding(rule.id, rule.severity, rule.clause, rule.title)
