"""The whole provider in one application, over a database and keys of the test's choice."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import ssl
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from authn import routes as authn_routes
from authn.accounts import OrganisationEntry
from authn.administration import Administration
from authn.assembly import Provider
from authn.certlogin import VerifiedCertificate
from authn.config import AuthnConfig
from authn.legacy.routes_cas import make_cas_router
from authn.legacy.routes_gate import make_gate_router
from authn.middleware import Authentication
from authn.oidc import routes as oidc_routes
from authn.oidc import routes_clients as oidc_client_routes
from authn.oidc import routes_registration
from authn.oidc.routes_keys import make_signing_key_api
from authn.oidc.store import AuthMethod
from authn.routes_accounts import make_account_api
from core.config import ControlConfig
from core.db import Database
from core.errors import Malformed, Refused
from core.http import install_problem_handlers
from core.identity import Role
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.control import make_control
from tests.fakes.keys import MemoryKeyBackend
from yinxin.control_routes import make_router as make_control_router
from yinxin.portal.page_route import make_page_route
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes import make_router

ISSUER = "https://ca.example.cn"
CALLBACK = "https://oa.example.cn/callback"
PASSWORD = "correct horse battery"
CONFIG = AuthnConfig(
    issuer=ISSUER,
    outbound={"allowed_networks": ["127.0.0.0/8"]},
    secrets_key="memory:object=secrets",
    oidc={"signing_key": "memory:object={name}"},
    password={"memory_kibibytes": 19456, "iterations": 2},
)


class FakeVerifier:
    """Knows certificates by their octets; everything else is refused."""

    def __init__(self) -> None:
        self.known: dict[bytes, VerifiedCertificate] = {}

    def add(self, der: bytes, spki: bytes, *, subject: bytes = b"0\x00") -> None:
        fingerprint = hashlib.sha256(der).hexdigest()
        self.known[der] = VerifiedCertificate(subject, "sm2-issuing", 1, spki, fingerprint)

    def verify_login_certificate(self, der, *, intermediates=()):
        if der not in self.known:
            raise Refused("the certificate is revoked")
        return self.known[der]


class FakeDirectory:
    """A small tree: a province, a city, a county beside it."""

    def __init__(self) -> None:
        self.parents: dict[str, str | None] = {"province": None, "city": "province"}
        self.parents |= {"county": "city", "elsewhere": "province"}

    def find(self, organisation_id):
        if organisation_id not in self.parents:
            return None
        return OrganisationEntry(organisation_id, f"{organisation_id}人民政府", None)

    def above(self, organisation_id):
        found, here = set(), organisation_id
        while here is not None:
            found.add(here)
            here = self.parents[here]
        return frozenset(found)

    def check_identity_card(self, number):
        if len(number) != 18:
            raise Malformed("an identity card number has 17 digits and a digit or X")
        return number.upper()


@cache
def _pages() -> PortalPages:
    """Templates are compiled once: they are the same in every house."""
    return PortalPages()


@cache
def _trust_of_the_system() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass
class House:
    provider: Provider
    verifier: FakeVerifier
    directory: FakeDirectory
    keystore: MemoryKeyBackend
    audit: MemoryAuditLog
    clock: FakeClock
    app: FastAPI

    def browser(self, *, address: str = "192.0.2.1") -> TestClient:
        return TestClient(
            self.app, base_url=ISSUER, follow_redirects=False, client=(address, 50000)
        )

    def user(self, name="zhang.wei", *, role: Role | None = None, password: str | None = PASSWORD):
        users = self.provider.administration.users
        user = users.create_user(
            name, display_name="张伟", email="zw@example.cn", role=role, actor="t"
        )
        if password is not None:
            users.complete_setup(users.create_setup_link(user, actor="t"), password)
        return users.get(user.id)

    def client(self, **changes):
        values = {
            "redirect_uris": [CALLBACK],
            "actor": "t",
            "post_logout_redirect_uris": ["https://oa.example.cn/bye"],
        }
        return self.provider.administration.clients.register("OA", **(values | changes))

    def public_client(self, **changes):
        return self.client(auth_method=AuthMethod.NONE, **changes)[0]


def build(
    database: Database,
    *,
    audit: MemoryAuditLog,
    clock: FakeClock,
    rules: ControlConfig | None = None,
    mutual_tls: str | None = None,
    trust: ssl.SSLContext | None = None,
    keystore: MemoryKeyBackend | None = None,
    **settings: object,
) -> House:
    verifier, directory = FakeVerifier(), FakeDirectory()
    keystore = keystore or MemoryKeyBackend()
    config = CONFIG.model_copy(update=settings)
    control = make_control(database, audit=audit, clock=clock, rules=rules)
    administration = Administration.assemble(
        config, database, control=control, audit=audit, clock=clock
    )
    provider = Provider.assemble(
        config,
        database,
        administration,
        keystore=keystore,
        verifier=verifier,
        directory=directory,
        audit=audit,
        clock=clock,
        trust=trust or _trust_of_the_system(),
    )
    pages = _pages()
    app = FastAPI()
    install_problem_handlers(app)

    def add(router: APIRouter) -> None:  # as the service does (`yinxin.app_parts.add_routes`)
        app.router.routes.extend(router.routes)

    add(
        oidc_routes.make_document_router(
            provider.issuers, provider.endpoints.tokens.grant_types, mutual_tls=mutual_tls
        )
    )
    page_route, sessions = make_page_route(pages), administration.sessions
    for router in (
        oidc_client_routes.make_client_router(provider.endpoints, origin=config.issuer),
        routes_registration.make_registration_router(provider.endpoints.registration),
        oidc_routes.make_authorization_router(
            provider.endpoints.authorization, sessions, pages, provider.endpoints.carrier
        ),
        oidc_routes.make_logout_router(provider.logout, sessions, pages),
        make_cas_router(provider.entry, sessions, provider.logout, pages, page_route=page_route),
        make_gate_router(
            provider.gate, provider.entry, sessions, issuer=config.issuer, page_route=page_route
        ),
        make_router(provider, pages),
        routes_registration.make_initial_token_api(provider.endpoints.initial_tokens),
        authn_routes.make_client_api(administration.clients),
        make_signing_key_api(provider.ring),
        authn_routes.make_user_api(
            administration.users,
            administration.roles,
            administration.factor_reset,
            issuer=config.issuer,
        ),
        make_account_api(
            provider.admission, administration.users, administration.clients, provider.trials
        ),
        authn_routes.make_binding_api(
            provider.certificates, administration.users, administration.roles
        ),
        make_control_router(control),
        authn_routes.make_certificate_login_api(provider.certificates, sessions),
    ):
        add(router)
    app.add_middleware(
        Authentication,
        api_tokens=administration.api_tokens,
        access_tokens=administration.access_tokens,
        certificates=provider.certificates,
    )
    return House(provider, verifier, directory, keystore, audit, clock, app)


def csrf_of(html: str) -> str:
    return re.search(r'name="csrf" value="([0-9a-f]{64})"', html)[1]


def log_in(browser: TestClient, *, name="zhang.wei", password=PASSWORD, next_path="/"):
    page = browser.get("/login", params={"next": next_path})
    fields = {"csrf": csrf_of(page.text), "next": next_path, "name": name, "password": password}
    return browser.post("/login", data=fields)


@dataclass
class Flow:
    """One authorization request of a client, with its PKCE verifier."""

    client_id: str | None
    verifier: str
    parameters: dict[str, str]

    @property
    def path(self) -> str:
        return "/oidc/authorize?" + urlencode(self.parameters)


def flow(client_id: str | None, **changes: str | None) -> Flow:
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    parameters = {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile email",
        "state": "s-1",
        "nonce": "n-1",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    } | changes
    kept = {name: value for name, value in parameters.items() if value is not None}
    return Flow(client_id, verifier, kept)


def answer_of(response) -> dict[str, str]:
    """The parameters that came back to the client."""
    assert response.status_code == 303, response.text
    location = response.headers["location"]
    assert location.startswith("https://oa.example.cn/"), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def redeem(browser: TestClient, request: Flow, code: str, /, **changes: str):
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": request.client_id,
        "code_verifier": request.verifier,
    } | changes
    return browser.post("/oidc/token", data=fields)
