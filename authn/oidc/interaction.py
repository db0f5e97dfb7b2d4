"""What still has to happen with a person before a client gets its code: prompts, in one order.

Each prompt is a page and a few small checks. The first check that is not content sends the
browser to that page; with ``prompt=none`` the client gets its error instead. So there is one table
for both, and no way to answer a client that the pages do not know of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from authn.access import AccessPolicy, Refusal
from authn.consents import SENSITIVE, Consent
from authn.levels import Level
from authn.oidc.draft import Draft
from authn.oidc.errors import (
    AccessDenied,
    AccountSelectionRequired,
    ConsentRequired,
    LoginRequired,
    OAuthError,
    UnmetAuthenticationRequirements,
)
from authn.oidc.flow import mark_of
from authn.oidc.scopes import OPENID
from authn.store import Session, User
from authn.trial import Reach

_LOGIN_TAKES: Final = timedelta(minutes=15)
"""How long after we sent a person to log in again the new login still answers that request."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Who came with which request, and when."""

    request: Draft
    session: Session | None
    user: User | None
    now: datetime
    hinted: object = None
    """Whom the client expects: the `sub` of its `id_token_hint`, or of its `claims`."""
    subject: str | None = None
    """The `sub` of who is logged in, at this client; known when somebody is expected."""

    @property
    def silent(self) -> bool:
        """The client wants no page (``prompt=none``)."""
        return "none" in self.request.prompt


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a person has to see a page."""

    error: OAuthError
    """What the client is told instead, when it wants no page."""
    page: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    anew: bool = False
    """Only a login after this moment will do."""


Check = Callable[[Situation], Missing | None]


def first_missing(policy: tuple[Check, ...], situation: Situation) -> Missing | None:
    """Return what the person has to do next; None when the client may have its code.

    Raises `OAuthError` when nothing the person could do would help.
    """
    for check in policy:
        missing = check(situation)
        if missing is not None:
            return missing
    return None


class Admission(Protocol):
    """Knows who may enter which application (`authn.access.ApplicationAccess`)."""

    def policy(self, client_id: str) -> AccessPolicy: ...

    def refusal(self, policy: AccessPolicy, account: str | None, user: User) -> Refusal | None: ...


class Agreements(Protocol):
    """Knows what people agreed to (`authn.consents.Consents`)."""

    def find(self, session: Session, client_id: str) -> Consent | None: ...


def make_policy(reach: Reach, admission: Admission, agreements: Agreements) -> tuple[Check, ...]:
    """Return the prompts in their order: login, account, step-up, access, consent."""

    def too_weak(situation: Situation) -> Missing | None:
        """RFC 9470, 5: only what is missing is asked for."""
        return _too_weak(situation, reach)

    def not_admitted(situation: Situation) -> Missing | None:
        """The application's policy on who enters, and whether they agree; it is read once."""
        if situation.session is None or situation.user is None or situation.request.client is None:
            return None
        policy = admission.policy(situation.request.client.id)
        return _may_not_enter(situation, policy, reach, admission) or _not_agreed(
            situation, policy, agreements
        )

    return (
        nobody,
        somebody_else,
        fresh_login_wanted,
        too_long_ago,
        no_account_chosen,
        too_weak,
        not_admitted,
    )


def nobody(situation: Situation) -> Missing | None:
    """Nobody is logged in."""
    return _login() if situation.session is None else None


def somebody_else(situation: Situation) -> Missing | None:
    """OIDC Core, 3.1.2.1: the client names another person in its id_token_hint."""
    if situation.hinted is None or situation.user is None:
        return None
    return _login() if situation.hinted != situation.subject else None


def fresh_login_wanted(situation: Situation) -> Missing | None:
    """OIDC Core, 3.1.2.1: prompt=login, and max_age=0, which asks for the same."""
    request = situation.request
    wanted = "login" in request.prompt or request.max_age == 0
    return _login(again=True) if wanted and not _just_done(situation) else None


def too_long_ago(situation: Situation) -> Missing | None:
    """OIDC Core, 3.1.2.1: max_age."""
    session, max_age = situation.session, situation.request.max_age
    if max_age is None or session is None or _just_done(situation):
        return None
    age = (situation.now - session.auth_time).total_seconds()
    return _login(again=True) if age > max_age else None


def no_account_chosen(situation: Situation) -> Missing | None:
    """OIDC Core, 3.1.2.1: prompt=select_account. A switch or another login is another choice."""
    session, request = situation.session, situation.request
    if session is None or "select_account" not in request.prompt or request.chosen == session.sid:
        return None
    # Whoever just logged in chose the person; there may be accounts for which they act.
    parameters = {"fresh": "1"} if _just_done(situation) else {}
    return Missing(AccountSelectionRequired(), "/login/select", parameters)


def _just_done(situation: Situation) -> bool:
    """Tell whether the person came back from the login we sent them to for this request."""
    request, session = situation.request, situation.session
    if request.after is None or session is None or took_too_long(request, situation.now):
        return False
    after = datetime.fromtimestamp(request.after, UTC)
    # Times have whole seconds: of the same one, the login that was known does not count.
    return session.auth_time > after or (
        session.auth_time == after and mark_of(session) != request.known
    )


def took_too_long(request: Draft, now: datetime) -> bool:
    """Whether the person was sent to log in so long ago that they have to again."""
    sent = request.after
    return sent is not None and now > datetime.fromtimestamp(sent, UTC) + _LOGIN_TAKES


def _too_weak(situation: Situation, reach: Reach) -> Missing | None:
    demand = situation.request.demand
    if situation.session is None or situation.user is None:
        return None
    if demand.essential and not demand.levels:
        raise UnmetAuthenticationRequirements
    wanted = demand.least
    if situation.session.level >= wanted:
        return None
    if not demand.essential and situation.silent:
        return None  # OIDC Core, 5.5.1.1: a voluntary acr is no reason for an error
    if reach.reachable(situation.user) < wanted:
        if demand.essential:
            raise UnmetAuthenticationRequirements
        return None
    return step_up(wanted)


def _may_not_enter(
    situation: Situation, policy: AccessPolicy, reach: Reach, admission: Admission
) -> Missing | None:
    session, user, client = situation.session, situation.user, situation.request.client
    if session is None or user is None or client is None:
        return None
    refusal: Refusal | None = Refusal.LEVEL
    if session.level >= policy.least_level:
        refusal = admission.refusal(policy, session.account, user)
    elif reach.reachable(user) >= policy.least_level:
        return step_up(policy.least_level)
    if refusal is None:
        return None
    error = AccessDenied("the user may not enter this application")
    return Missing(error, "/login/refused", {"client": client.id, "reason": refusal})


def _not_agreed(
    situation: Situation, policy: AccessPolicy, agreements: Agreements
) -> Missing | None:
    """OIDC Core, 3.1.2.4: consent, where policy, scope or client want it."""
    session, client, request = situation.session, situation.request.client, situation.request
    if session is None or client is None:
        return None
    wanted = frozenset(request.scope.split()) - {OPENID}
    asked_again = "consent" in request.prompt
    if not (asked_again or policy.consent or wanted & SENSITIVE):
        return None
    known = agreements.find(session, client.id)
    agreed = known is not None and wanted <= known.scopes
    if agreed and known is not None and asked_again:
        # Only an agreement after we sent the person to the page answers prompt=consent.
        agreed = request.after is not None and _stamp(known) >= request.after
    if agreed:
        return None
    parameters = {"client": client.id, "scope": " ".join(sorted(wanted))}
    return Missing(ConsentRequired(), "/login/consent", parameters)


def _stamp(consent: Consent) -> int:
    return int(consent.granted_at.timestamp())


def step_up(wanted: Level) -> Missing:
    """Send the person to show more than they have."""
    return Missing(LoginRequired(), "/login/step-up", {"level": wanted.word})


def _login(*, again: bool = False) -> Missing:
    """Send the person to log in; `again`: the page says that the application wants it anew."""
    return Missing(LoginRequired(), "/login", {"why": "login_again"} if again else {}, anew=True)
