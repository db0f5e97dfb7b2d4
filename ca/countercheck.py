"""The dry run of a registration authority's table, as far as the CA alone can see.

Lint, blocked keys, the issuer and its life, name constraints, rights, and who has a certificate
already: by what checks the tables of the CA's own operators. Nothing is written.
"""

from __future__ import annotations

from collections import defaultdict

from ca.acts import MOST_WORDS, Question, Questions, Verdict, Verdicts
from ca.bulk import Live
from ca.dryrun import Checked, DryRun
from ca.operations import Operation
from ca.registrars import Registrar
from ca.rights import Rights
from ca.rights_store import Step
from ca.submitting import request_in
from core.errors import Forbidden, Refused, TrustError, Unavailable


class CounterCheck:
    """Answers registration authorities, each about its own branch and profiles."""

    def __init__(self, dry_run: DryRun, rights: Rights, *, accept_empty_sm2_id: bool) -> None:
        self._dry_run = dry_run
        self._rights = rights
        self._accept_empty_sm2_id = accept_empty_sm2_id

    def check(self, registrar: Registrar, asked: Questions) -> Verdicts:
        """Say which rows would be refused and why, and which could not be looked at now."""
        reasons: dict[str, str | None] = {}
        not_asked: str | None = None
        good: defaultdict[tuple[str, str], dict[str, Checked]] = defaultdict(dict)
        for question in asked.rows:
            named = question.request.profile, question.request.issuer
            try:
                good[named][question.id] = self._checked(registrar, question)
            except Unavailable as error:
                not_asked = str(error)[:MOST_WORDS]
                break  # the others would only wait for the same
            except TrustError as error:
                reasons[question.id] = str(error)
        for (profile, issuer), checked in good.items():
            given = self._dry_run.find_given(
                checked,
                profile=profile,
                issuer=issuer,
                is_theirs=lambda live: self._is_theirs(registrar, live),
            )
            reasons |= {name: given.get(name) for name in checked}
        return Verdicts(
            rows=tuple(
                Verdict(id=name, reason=None if why is None else why[:MOST_WORDS])
                for name, why in reasons.items()
            ),
            not_asked=not_asked,
        )

    def _checked(self, registrar: Registrar, question: Question) -> Checked:
        body = question.request
        organisation = self._rights.place(
            registrar.operator,
            Operation.APPLY,
            Step.REVIEW,
            organisation=body.organisation,
            profile=body.profile,
        )
        if body.subject_id is not None:
            raise Refused("subject_id: subjects are kept at the certificate authority")
        wanted = request_in(
            body,
            requester=registrar.operator,
            organisation=organisation,
            accept_empty_sm2_id=self._accept_empty_sm2_id,
        )
        profile, issuer = self._dry_run.find(body.profile, body.issuer)
        return self._dry_run.check(wanted, profile, issuer, profile.key_algorithms[0])

    def _is_theirs(self, registrar: Registrar, live: Live) -> bool:
        try:
            self._rights.require(
                registrar.operator,
                Operation.QUERY,
                None,
                organisation=live.organisation_id,
                profile=None,
            )
        except Forbidden:
            return False
        return True
