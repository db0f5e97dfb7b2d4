"""The API of users, clients and certificate bindings (role: system)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from authn import cookies
from authn.answers import parse_answer, parse_certificates
from authn.certlogin import CertificateLogin
from authn.factorreset import FactorReset
from authn.oidc.clients import Clients
from authn.oidc.store import Client
from authn.rolechanges import RoleChanges
from authn.routes_roles import PROPOSED, System, add_role_routes, proposed
from authn.schemas import (
    BindingView,
    ChallengeAnswer,
    ChallengeView,
    ClientChange,
    ClientCreated,
    ClientView,
    Contact,
    LoggedIn,
    NewBinding,
    NewClient,
    NewSecret,
    NewUser,
    Proposed,
    SecretRotation,
    SessionsEnded,
    SetupLink,
    UserView,
    Whoami,
)
from authn.sessions import Sessions
from authn.users import Users
from core.control_store import ProposalState
from core.errors import NotFound
from core.http import principal, require_role
from core.identity import Principal, Role
from core.listing import page_of
from core.openapi import After, Sort

Watcher = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]

_CLIENTS_BY: Final[Mapping[str, Callable[[Client], Any]]] = {
    "client_id": lambda one: one.id,
    "name": lambda one: one.name,
    "created": lambda one: one.created_at,
}


def make_client_api(clients: Clients) -> APIRouter:
    """Serve /api/v1/clients."""
    router = APIRouter(prefix="/api/v1/clients", tags=["clients"])

    @router.post("", status_code=HTTPStatus.CREATED)
    def register(body: NewClient, asking: System, response: Response) -> ClientCreated:
        """Register a relying party. The secret is in this answer and nowhere else."""
        client, secret = clients.register(
            body.name,
            client_id=body.client_id,
            redirect_uris=body.redirect_uris,
            post_logout_redirect_uris=body.post_logout_redirect_uris,
            auth_method=body.auth_method,
            allowed_scopes=body.scopes,
            id_token_algorithm=body.id_token_algorithm,
            metadata=body.metadata,
            actor=asking.name,
        )
        response.headers["Cache-Control"] = "no-store"
        return ClientCreated(client=ClientView.of(client), client_secret=secret)

    @router.get("")
    def list_clients(
        _asking: Watcher,
        *,
        text: Annotated[str, Query(max_length=200)] = "",
        sort: Sort = None,
        after: After = None,
        limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
    ) -> list[ClientView]:
        """List relying parties by `client_id`, `name` or `created`, from behind one on.

        With `text`: those that have it in their name or identifier.
        """
        wanted = text.lower()
        found = [one for one in clients.list_clients() if wanted in f"{one.name}\n{one.id}".lower()]
        page = page_of(found, _CLIENTS_BY, lambda one: one.id, sort, after)
        return [ClientView.of(client) for client in page[:limit]]

    @router.get("/{client_id}")
    def get(client_id: str, _asking: Watcher) -> ClientView:
        """Show a relying party."""
        return ClientView.of(clients.get(client_id))

    @router.put("/{client_id}")
    def change(
        client_id: str, body: ClientChange, asking: System, response: Response
    ) -> ClientCreated:
        """Replace what a relying party is registered with; its tokens go on.

        There is a secret in the answer only if it had none and needs one now.
        """
        client, secret = clients.change(
            client_id,
            body.name,
            redirect_uris=body.redirect_uris,
            post_logout_redirect_uris=body.post_logout_redirect_uris,
            auth_method=body.auth_method,
            allowed_scopes=body.scopes,
            id_token_algorithm=body.id_token_algorithm,
            metadata=body.metadata,
            actor=asking.name,
        )
        response.headers["Cache-Control"] = "no-store"
        return ClientCreated(client=ClientView.of(client), client_secret=secret)

    @router.post("/{client_id}/secret", status_code=HTTPStatus.CREATED)
    def rotate(
        client_id: str, body: SecretRotation, asking: System, response: Response
    ) -> NewSecret:
        """Give a relying party a new secret; the old one works for a while beside it."""
        keep = timedelta(hours=body.keep_old_hours)
        secret = clients.rotate_secret(client_id, keep=keep, actor=asking.name)
        response.headers["Cache-Control"] = "no-store"
        return NewSecret(client_secret=secret)

    @router.delete("/{client_id}", status_code=HTTPStatus.NO_CONTENT)
    def remove(client_id: str, asking: System) -> None:
        """Remove a relying party; its tokens stop working at once."""
        clients.remove(client_id, actor=asking.name)

    return router


def make_user_api(
    users: Users, roles: RoleChanges, factor_reset: FactorReset, *, issuer: str
) -> APIRouter:
    """Serve /api/v1/users and /api/v1/whoami."""
    router = APIRouter(prefix="/api/v1", tags=["users"])

    @router.get("/whoami")
    def whoami(asking: Annotated[Principal, Depends(principal)]) -> Whoami:
        """Tell who is asking."""
        return Whoami(name=asking.name, role=asking.role, method=asking.method)

    @router.post("/users", status_code=HTTPStatus.CREATED, responses=PROPOSED)
    def create(body: NewUser, asking: System, response: Response) -> UserView | Proposed:
        """Create a user, who has no password until a setup link is used.

        202: an administrator whom others have to agree to.
        """
        if body.role is not None:
            proposal = roles.create(
                body.name,
                display_name=body.display_name,
                email=body.email,
                role=body.role,
                actor=asking.name,
            )
            if proposal.state is not ProposalState.EXECUTED:
                return proposed(proposal, response)
            created = users.find_by_name(body.name)
        else:
            created = users.create_user(
                body.name, display_name=body.display_name, email=body.email, actor=asking.name
            )
        if created is None:
            raise NotFound("the new user is not there any more")
        return UserView.of(created)

    _add_reading(router, users)

    @router.put("/users/{user_id}/contact")
    def contact(user_id: str, body: Contact, asking: System) -> UserView:
        """Say where a user is reached, in place of all that was known."""
        user = users.get(user_id)
        changed = users.change_contact(
            user, email=body.email, phone=body.phone, address=body.address, actor=asking.name
        )
        return UserView.of(changed)

    @router.post("/users/{user_id}/end-sessions")
    def end_sessions(user_id: str, asking: System) -> SessionsEnded:
        """End every session of a user; the applications they entered are told."""
        return SessionsEnded(sessions=users.end_sessions(users.get(user_id), actor=asking.name))

    @router.post("/users/{user_id}/setup-link", status_code=HTTPStatus.CREATED)
    def setup_link(user_id: str, asking: System, response: Response) -> SetupLink:
        """Make a one-time link with which the user chooses a password."""
        token = roles.offer_setup_link(users.get(user_id), actor=asking.name)
        response.headers["Cache-Control"] = "no-store"
        return SetupLink(url=f"{issuer}/setup/{token}")

    add_role_routes(router, users, roles, factor_reset, issuer=issuer)
    return router


def _add_reading(router: APIRouter, users: Users) -> None:
    @router.get("/users")
    def list_users(
        _asking: Watcher,
        text: Annotated[str, Query(max_length=200)] = "",
        after: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
        sort: Sort = None,
    ) -> list[UserView]:
        """List users by `name`, `display_name` or `created`, from behind the name `after` on.

        With `text`: those that have it in one of their names.
        """
        found = users.list_users(text=text, after=after, limit=limit, sort=sort)
        return [UserView.of(user) for user in found]

    @router.get("/users/{user_id}")
    def get(user_id: str, _asking: Watcher) -> UserView:
        """Show a user."""
        return UserView.of(users.get(user_id))


def make_binding_api(certificates: CertificateLogin, users: Users, roles: RoleChanges) -> APIRouter:
    """Serve /api/v1/certificate-bindings."""
    router = APIRouter(prefix="/api/v1/certificate-bindings", tags=["users"])

    @router.post("", status_code=HTTPStatus.CREATED)
    def bind(body: NewBinding, asking: System) -> BindingView:
        """Let the holder of a certificate log in as a user."""
        chain = parse_certificates(body.certificate)
        user = users.get(body.user_id)
        with roles.credential(user, actor=asking.name):
            return BindingView.of(certificates.bind_presented(user, chain, actor=asking.name))

    @router.get("")
    def list_bindings(_asking: Watcher) -> list[BindingView]:
        """List bindings."""
        return [BindingView.of(binding) for binding in certificates.list_bindings()]

    @router.delete("/{binding_id}", status_code=HTTPStatus.NO_CONTENT)
    def unbind(binding_id: str, asking: System) -> None:
        """Remove a binding."""
        certificates.unbind(binding_id, actor=asking.name)

    return router


def make_certificate_login_api(certificates: CertificateLogin, sessions: Sessions) -> APIRouter:
    """Serve the certificate login as JSON, for middleware of USB keys and for programs."""
    router = APIRouter(prefix="/api/v1/login/certificate", tags=["login"])

    @router.post("/challenge")
    def challenge(request: Request, response: Response) -> ChallengeView:
        """Ask for a text to sign. The answer must carry the cookie set here."""
        browser = cookies.browser_of(request)
        cookies.set_cookie(response, cookies.BROWSER, browser)
        response.headers["Cache-Control"] = "no-store"
        nonce = certificates.challenge(browser)
        return ChallengeView(nonce=nonce, message=certificates.message(nonce))

    @router.post("")
    def answer(body: ChallengeAnswer, request: Request, response: Response) -> LoggedIn:
        """Answer a challenge; the session is in the cookie set here."""
        proven = certificates.authenticate(
            body.nonce,
            parse_answer(body.certificate, body.signature),
            browser=request.cookies.get(cookies.BROWSER, ""),
            address=cookies.address_of(request),
        )
        cookie = sessions.enter(
            proven.user, proven.method, cookie=request.cookies.get(cookies.SESSION)
        )
        cookies.set_cookie(response, cookies.SESSION, cookie)
        response.headers["Cache-Control"] = "no-store"
        return LoggedIn(user=proven.user.name)

    return router
