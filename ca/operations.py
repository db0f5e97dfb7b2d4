"""The acts of a registration authority, and the steps that each goes through.

Entry, review, make (录入、审核、制证): who enters a request never reviews the own one when
`ca.separate_approver` is on, and who reviews never makes. docs/requests.md has the whole table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from ca.profiles import CertificateProfile


class Operation(StrEnum):
    """What an operator may be allowed to do, in the words of GM/T 0034 and of the desks."""

    APPLY = "apply"
    """申请: a new certificate."""
    REISSUE = "reissue"
    """补发: the medium is lost. Same subject and profile, new key; the old one is revoked."""
    REKEY = "rekey"
    """换发: new key; the old certificate is revoked after the new one is issued."""
    RENEW = "renew"
    """延期: the same key, a new validity."""
    FREEZE = "freeze"
    """冻结"""
    UNFREEZE = "unfreeze"
    """解冻"""
    REVOKE = "revoke"
    """吊销"""
    PICKUP_RESEND = "pickup-resend"
    """两码重发: new reference number and authorisation code."""
    MAKE = "make"
    """制证: the step in which a reviewed certificate is made. Never a request of its own."""
    QUERY = "query"
    """查询"""
    STATISTICS = "statistics"
    """统计"""
    RIGHTS = "rights"
    """权限管理"""
    ORGANISATIONS = "organisations"
    """机构管理"""


REPLACING: Final = (Operation.REISSUE, Operation.REKEY, Operation.RENEW)
"""What gives a certificate in the place of another. A certificate is replaced once."""
ISSUING: Final = (Operation.APPLY, *REPLACING)
"""What gives a certificate."""


@dataclass(frozen=True, slots=True)
class Review:
    """Which steps follow the entry of a request."""

    review: bool
    make: bool = False


class ReviewRules(Protocol):
    """Says which steps an operation needs."""

    def needed(self, operation: Operation, profile: str, organisation: str | None) -> Review:
        """`organisation`: the id of the branch that the request belongs to, if any."""
        ...


class ReviewsOfProfiles:
    """The rules of an installation that has set none: what gives a certificate follows its profile.

    A change of status acts at once: it takes trust away, or gives back what a hold took.
    """

    def __init__(self, profiles: Mapping[str, CertificateProfile]) -> None:
        self._profiles = profiles

    def needed(self, operation: Operation, profile: str, organisation: str | None) -> Review:  # noqa: ARG002  (every branch alike)
        found = self._profiles.get(profile)
        if operation not in ISSUING:
            return Review(review=False)
        if found is None:
            return Review(review=True)
        return Review(found.needs_approval, found.needs_make)
