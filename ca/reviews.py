"""Review rules: which operations need a review or a make step, by profile and branch.

The most specific rule wins; without one the profile says (`ca.operations.ReviewsOfProfiles`).
Whoever manages rights in a branch may ask for more steps there; asking for fewer than what is
in force from above takes the right over the whole tree.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ca.operations import ISSUING, Operation, Review, ReviewRules
from ca.organisations import Organisations
from ca.profiles import CertificateProfile
from ca.reviews_store import ReviewRule, ReviewRuleStore
from ca.rights import Rights
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Malformed, NotFound
from core.transaction import Transactions

REVIEWED: Final = (
    *ISSUING,
    Operation.FREEZE,
    Operation.UNFREEZE,
    Operation.REVOKE,
    Operation.PICKUP_RESEND,
)
"""What can be asked for, and so be reviewed."""
MAX_RULES: Final = 1000
"""Of one list; far more than exceptions that people can keep in mind."""


class Reviews:
    """Answers which steps an act needs, and lets managers set it. Is a `ReviewRules`."""

    def __init__(
        self,
        store: ReviewRuleStore,
        rights: Rights,
        organisations: Organisations,
        *,
        profiles: Mapping[str, CertificateProfile],
        default: ReviewRules,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._rights = rights
        self._organisations = organisations
        self._profiles = profiles
        self._default = default
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def needed(self, operation: Operation, profile: str, organisation: str | None) -> Review:
        """Return the steps that an act needs; one indexed query. None: the root."""
        rule = self._store.find_bearing(operation, profile, organisation)
        if rule is not None:
            return rule.review
        return self._default.needed(operation, profile, organisation)

    def set_rule(
        self,
        operation: Operation,
        profile: str | None,
        organisation: str,
        review: Review,
        *,
        actor: str,
    ) -> ReviewRule:
        """Set a rule for a subtree. Raises `Forbidden`, `NotFound`, `Malformed`."""
        if operation not in REVIEWED:
            raise Malformed(f"{operation} is never reviewed; rules are for: {', '.join(REVIEWED)}")
        if review.make and operation not in ISSUING:
            raise Malformed(f"{operation} makes no certificate, so it has no make step")
        if profile is not None and profile not in self._profiles:
            raise NotFound(f"there is no profile {profile}")
        rule = ReviewRule(
            id=secrets.token_hex(16),
            operation=operation,
            profile=profile,
            organisation=self._organisations.get(organisation).id,
            review=review,
            set_by=actor,
            set_at=self._clock.now(),
        )
        with self._transactions.transaction():
            self._change(rule, lambda: self._store.put_rule(rule), actor)
            self._audit.record(
                "rule.set",
                actor=actor,
                detail={**_words(rule), "review": review.review, "make": review.make},
            )
        return rule

    def remove_rule(self, rule_id: str, *, actor: str) -> None:
        """Let the rule above, or the profile, hold again. Raises `Forbidden`, `NotFound`."""
        with self._transactions.transaction():
            rule = self._store.find_rule(rule_id)
            if rule is None:
                raise NotFound(f"there is no review rule {rule_id}")
            self._change(rule, lambda: self._store.remove_rule(rule_id), actor)
            self._audit.record("rule.removed", actor=actor, detail=_words(rule))

    def list_rules(self, *, scope: frozenset[str] | None) -> Sequence[ReviewRule]:
        """Return the rules set on organisations in `scope`, oldest first."""
        return self._store.list_rules(scope=scope, limit=MAX_RULES)

    def _change(self, rule: ReviewRule, change: Callable[[], None], actor: str) -> None:
        self._store.lock_tree()
        self._require(actor, rule.organisation, rule.profile)
        before = self._in_force(rule)
        change()
        after = self._in_force(rule)
        if any(_is_weaker(after[name], before[name]) for name in before):
            # Raised inside the transaction: the change is undone with it.
            self._require(actor, None, rule.profile)

    def _require(self, actor: str, organisation: str | None, profile: str | None) -> None:
        self._rights.require(
            actor, Operation.RIGHTS, None, organisation=organisation, profile=profile
        )

    def _in_force(self, rule: ReviewRule) -> Mapping[str, Review]:
        concerned = self._profiles if rule.profile is None else (rule.profile,)
        return {name: self.needed(rule.operation, name, rule.organisation) for name in concerned}


def _is_weaker(after: Review, before: Review) -> bool:
    return (before.review and not after.review) or (before.make and not after.make)


def _words(rule: ReviewRule) -> dict[str, str | None]:
    return {
        "rule": rule.id,
        "operation": rule.operation,
        "profile": rule.profile,
        "organisation": rule.organisation,
    }
