"""The authorization endpoint (OIDC Core, 3.1.2): a checked request and a session become a code."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import urlencode

from authn import opaque
from authn.config import AuthnConfig
from authn.consents import Consent
from authn.forms import Fields, field
from authn.oidc import scopes
from authn.oidc.athand import AgreementsInSteps, ConsentNotAtHand, NotAtHand
from authn.oidc.checks import CHECKS
from authn.oidc.draft import Draft, Sources, draft, resumed
from authn.oidc.errors import AccessDenied, InvalidRequest, LoginRequired, OAuthError
from authn.oidc.flow import Flow, FlowGone, Flows, mark_of
from authn.oidc.grant import Confirmation, Grant
from authn.oidc.interaction import Check, Missing, Situation, first_missing, took_too_long
from authn.oidc.issuers import Issuers
from authn.oidc.store import AuthorizationCode, Client, GrantStore
from authn.oidc.subjects import SubjectIdentifiers
from authn.store import Session, User
from core.clock import Clock
from core.errors import Malformed
from core.steps import Steps, apart

PATH: Final = "/oidc/authorize"
CONTINUE: Final = "/oidc/continue"
REFUSE: Final = "/refuse"
_FOR_PAGES: Final = ("login_hint", "ui_locales")
"""What the login page is told (OIDC Core, 3.1.2.1)."""
_LOOKED_UP: Final = frozenset({"request", "request_uri", "resource"})
"""What is read from a table, or fetched, before the request can be judged."""
_NAMING: Final = frozenset({"id_token_hint", "claims"})
"""What may name the person whom the client expects."""
_MOST_OF_FAPI2: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class SendBack:
    """Send the browser to the client, with a code or an error."""

    redirect_uri: str
    answer: Mapping[str, str]
    form_post: bool = False
    """In a form (OAuth 2.0 Form Post Response Mode) instead of the address."""

    @property
    def location(self) -> str:
        """The address with the answer in its query."""
        joint = "&" if "?" in self.redirect_uri else "?"
        return self.redirect_uri + joint + urlencode(self.answer)


@dataclass(frozen=True, slots=True)
class Interact:
    """Redirect to a page of ours, which comes back to `next_path`."""

    page: str
    parameters: Mapping[str, str]
    flow_id: str
    cookie: str
    """What the browser keeps of the request meanwhile (`authn.oidc.flow`)."""

    @property
    def next_path(self) -> str:
        """Where the request goes on."""
        return f"{CONTINUE}/{self.flow_id}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a request is judged by."""

    sources: Sources
    """What the checks ask."""
    policy: tuple[Check, ...]
    """The prompts."""


class AuthorizationEndpoint:
    """Decides what happens with an authorization request."""

    def __init__(
        self,
        judgement: Judgement,
        grants: GrantStore,
        issuers: Issuers,
        subjects: SubjectIdentifiers,
        flows: Flows,
        *,
        at_hand: Judgement,
        agreements: AgreementsInSteps,
        agreed: Callable[[Consent | None], tuple[Check, ...]],
        config: AuthnConfig,
        clock: Clock,
    ) -> None:
        """`at_hand`: the same, raising `NotAtHand` in place of waiting.

        `agreed`: its prompts when what the person agreed to was read from `agreements`.
        """
        self._sources, self._policy = judgement.sources, judgement.policy
        self._at_hand = at_hand
        self._agreements, self._agreed = agreements, agreed
        self._grants = grants
        self._issuers = issuers
        self._subjects = subjects
        self._flows = flows
        self._lifetime = timedelta(seconds=config.oidc.code_seconds)
        self._clock = clock

    def decide(self, fields: Fields, session: tuple[Session, User] | None) -> SendBack | Interact:
        """Answer a request. Raises `OAuthError` only for what must be shown to the person."""
        return self._decide(draft(fields, self._sources), session)

    def deciding(
        self, fields: Fields, session: tuple[Session, User] | None
    ) -> Steps[SendBack | Interact]:
        """Answer a request as `decide` does, in steps.

        A code is given without waiting if all that the request is judged by is at hand. Anything
        else is for `decide`, apart.
        """
        try:
            given = self._code_at_once(fields, session, self._at_hand.policy)
        except ConsentNotAtHand as wanted:
            consent = yield from self._agreements.finding(wanted.session, wanted.client_id)
            given = self._code_at_once(fields, session, self._agreed(consent))
        if given is None:
            return (yield from apart(partial(self.decide, fields, session)))
        code, answer = given
        if (yield from self._grants.adding_code(code)):
            return answer
        return (yield from apart(partial(self.decide, fields, None)))  # it has ended meanwhile

    def _code_at_once(
        self, fields: Fields, session: tuple[Session, User] | None, policy: tuple[Check, ...]
    ) -> tuple[AuthorizationCode, SendBack] | None:
        """Raises `ConsentNotAtHand` if that is all that is not."""
        request = draft(fields, self._at_hand.sources)
        if session is None or not _LOOKED_UP.isdisjoint(request.parameters):
            return None
        try:
            for check in CHECKS:
                check(request)
            if request.client is None or not self._knows_subject(request, request.client):
                return None
            if first_missing(policy, self._situation(request, session)) is not None:
                return None
        except ConsentNotAtHand:
            raise
        except (NotAtHand, OAuthError):
            return None
        return self._code(request, *session)

    def resume(
        self, flow_id: str, cookie: str, session: tuple[Session, User] | None
    ) -> SendBack | Interact:
        """Answer a request that went through our pages; raises as `decide` does."""
        flow = self._flows.open(flow_id, cookie)
        return self._decide(resumed(flow, flow_id, cookie, self._sources), session)

    def client_of(self, flow_id: str, cookie: str) -> Client | None:
        """Return whose request goes through our pages. Raises `FlowGone`."""
        fields = self._flows.open(flow_id, cookie).fields
        return self._sources.clients.find(field(fields, "client_id"))

    def missing_for(
        self,
        client: Client,
        scope: str,
        session: tuple[Session, User] | None,
        *,
        fresh: bool = False,
        sent: str | None = None,
    ) -> Missing | None:
        """Return what a person has to do before a client may act for them, without a request.

        `fresh`: only a login will do after they were sent to our pages with the mark `sent`, of
        `mark_sent`. Raises `OAuthError` when nothing would help (the policy of the application).
        """
        request = draft([("client_id", client.id), ("scope", scope)], self._sources)
        request.client, request.scope = client, scope
        if sent is not None:
            request.after, request.known = self._when_sent(client, sent)
        if fresh:
            request.prompt = frozenset({"login"})
        return first_missing(self._policy, self._situation(request, session))

    def mark_sent(self, client: Client, session: tuple[Session, User] | None) -> str:
        """Return a mark that a person is sent to our pages now, which nobody can forge."""
        known = None if session is None else mark_of(session[0])
        after = int(self._clock.now().timestamp())
        return ".".join(self._flows.seal(Flow([("client_id", client.id)], after, known=known)))

    def _when_sent(self, client: Client, sent: str) -> tuple[int, str | None] | tuple[None, None]:
        """Return what a mark says; nothing if it is not one of this client."""
        try:
            flow = self._flows.open(*sent.partition(".")[::2])
        except FlowGone:
            return None, None
        ours = list(flow.fields) == [("client_id", client.id)]
        return (flow.after, flow.known) if ours else (None, None)

    def check(self, fields: Fields) -> Draft:
        """Return a request that passed every check. Raises `OAuthError`."""
        request = draft(fields, self._sources)
        request.pushed = ""  # it is being pushed
        for check in CHECKS:
            check(request)
        return request

    def refuse(self, flow_id: str, cookie: str) -> SendBack | Interact:
        """Send a request back whose person came to our pages and said no; raises as `decide`."""
        request = resumed(self._flows.open(flow_id, cookie), flow_id, cookie, self._sources)
        return self._decide(request, None, refused=True)

    def choose(self, flow_id: str, cookie: str, session: Session) -> tuple[str, str]:
        """Let a request go on as the account of this session, which the person chose.

        Returns id and cookie of the flow that says so. Raises as `decide` does.
        """
        flow = self._flows.open(flow_id, cookie)
        return self._flows.seal(replace(flow, chosen=session.sid))

    def _decide(
        self, request: Draft, session: tuple[Session, User] | None, *, refused: bool = False
    ) -> SendBack | Interact:
        try:
            for check in CHECKS:
                check(request)
            if refused:
                raise AccessDenied("the user did not agree, or may not enter")
            missing = first_missing(self._policy, self._situation(request, session))
            if missing is not None:
                return self._interact(request, missing, session)
            if session is None:
                raise LoginRequired
            return self._give_code(request, *session)
        except OAuthError as error:
            if request.redirect_uri is None:
                raise
            answer = {"error": error.code, "error_description": error.description}
            return self._send_back(request, answer)

    def _situation(self, request: Draft, session: tuple[Session, User] | None) -> Situation:
        hint = request.parameters.get("id_token_hint")
        hinted = request.claims.subject if hint is None else self._subject_of(hint)
        known = session is not None and request.client is not None and hinted is not None
        return Situation(
            request=request,
            session=None if session is None else session[0],
            user=None if session is None else session[1],
            now=self._clock.now(),
            hinted=hinted,
            subject=self._subjects.of(session[1].id, request.client)
            if known and session is not None and request.client is not None
            else None,
        )

    def _subject_of(self, hint: str) -> object:
        try:
            return self._issuers.read_hint(hint).get("sub")
        except Malformed as error:
            raise InvalidRequest(str(error)) from error

    def _interact(
        self, request: Draft, missing: Missing, session: tuple[Session, User] | None
    ) -> Interact:
        if "none" in request.prompt:
            raise missing.error
        # The time is in the cookie, which nobody can forge: a login before it does not answer
        # prompt=login or max_age, and one after it does, so that nobody is sent round for ever.
        now = self._clock.now()
        if request.flow is None or (missing.anew and took_too_long(request, now)):
            after = int(now.timestamp())
            known = None if session is None else mark_of(session[0])
            kept = self._flows.seal(
                Flow(request.fields, after, request.pushed, request.signed, request.chosen, known)
            )
        else:
            kept = request.flow
        passed_on: dict[str, str] = {
            name: request.parameters[name] for name in _FOR_PAGES if name in request.parameters
        }
        return Interact(missing.page, {**passed_on, **missing.parameters}, *kept)

    def _give_code(self, request: Draft, session: Session, user: User) -> SendBack | Interact:
        code, answer = self._code(request, session, user)
        if not self._grants.add_code(code):
            return self._decide(request, None)  # the session has ended meanwhile
        if request.pushed is not None:
            # The second of two is not told its code, which nobody can redeem then.
            self._sources.pushed.use(bytes.fromhex(request.pushed))
        return answer

    def _code(
        self, request: Draft, session: Session, user: User
    ) -> tuple[AuthorizationCode, SendBack]:
        """Draw a code; return it as it is to be stored, and the answer that tells it."""
        if request.client is None or request.redirect_uri is None:
            raise InvalidRequest("the request was not checked")
        client, given = request.client, request.parameters
        jkt = given.get("dpop_jkt")
        drawn = opaque.draw()
        code = AuthorizationCode(
            digest=drawn.digest,
            grant=Grant(
                id=str(uuid.uuid4()),
                client_id=client.id,
                user_id=user.id,
                sid=session.sid,
                scope=scopes.granted(request.scope, user),
                auth_time=session.auth_time,
                amr=session.amr,
                acr=request.demand.answered_by(session.level),
                account=session.account,
                claims=given.get("claims", ""),
                resources=request.resources,
            ),
            redirect_uri=request.redirect_uri,
            nonce=given.get("nonce"),
            code_challenge=given["code_challenge"],
            confirmation=None if jkt is None else Confirmation("jkt", jkt),
            expires_at=self._clock.now() + self._lifetime_of(client),
            subject=self._subjects.of(user.id, client) if client.metadata.hears_of_logout else None,
        )
        return code, self._send_back(request, {"code": drawn.secret})

    def _knows_subject(self, request: Draft, client: Client) -> bool:
        """Whether `_situation` and `_code` wait for nobody."""
        if client.metadata.hears_of_logout or not _NAMING.isdisjoint(request.parameters):
            return self._subjects.at_once(client)
        return True

    def _lifetime_of(self, client: Client) -> timedelta:
        # FAPI 2.0 Security Profile, 5.3.2.2: at most 60 seconds, whatever the setting says.
        return min(self._lifetime, _MOST_OF_FAPI2) if client.metadata.is_fapi2 else self._lifetime

    def _send_back(self, request: Draft, answer: dict[str, str]) -> SendBack:
        if request.state is not None:
            answer["state"] = request.state
        answer["iss"] = self._issuers.of(request.client).identifier  # RFC 9207, 2: in errors too
        return SendBack(str(request.redirect_uri), answer, request.form_post)
