"""Every page there is, in an installation where all that was typed is a script.

`routes` reads the pages and forms from the application; `Everything` has an address for each page,
and somebody who may see it. What is tested of all pages is made of these.
"""

from __future__ import annotations

import re
from base64 import b32decode
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from authn import cookies
from authn.levels import PASSWORD, Method
from authn.logout.sqlstore import SQLParticipationStore
from authn.logout.store import Channel, Participation
from authn.totp import code_at, step_of
from core.identity import Role
from tests.integration.console import Browser
from tests.integration.provider import CALLBACK, flow
from tests.judges.octets import REQUEST, pem
from tests.unit.ca.csrs import make_csr
from yinxin.console.api import ConsoleAPI
from yinxin.console.pages import ConsolePages
from yinxin.console.queues import DESK
from yinxin.console.routes import make_router
from yinxin.deskservice import DeskService
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes import make_router as make_portal_router
from yinxin.portal.routes_certificates import OwnDesk
from yinxin.wiring import Service

SCRIPT: Final = '<script>alert("x")</script>'
ROLES: Final = ("system", "business", "audit", "key", "judicial")


_ROUTES: Final[dict[type, list[tuple[str, str]]]] = {}
"""FastAPI takes a second to read them, and every test asks."""


def routes(service: Service | DeskService) -> list[tuple[str, str]]:
    """Return method and path of every page and form, of the console and the portal.

    At a registration authority: of the console; the portal is the same one.
    """
    if type(service) not in _ROUTES:
        _ROUTES[type(service)] = _read_routes(service)
    return _ROUTES[type(service)]


def _read_routes(service: Service | DeskService) -> list[tuple[str, str]]:
    api = ConsoleAPI(FastAPI())
    pages = ConsolePages(api, clock=service.ground.clock)
    if isinstance(service, DeskService):
        desk = make_router(api, pages, queue=DESK)
        return _methods(desk.routes)
    console = make_router(api, pages)
    desks = service.operations.desks
    own = OwnDesk(desks.own, desks.pickup, desks.deliveries, service.enrollment.take_key)
    portal = make_portal_router(service.provider, PortalPages(), own)
    return _methods((*console.routes, *portal.routes))


def _methods(served: Iterable[BaseRoute]) -> list[tuple[str, str]]:
    found = [one for one in served if isinstance(one, APIRoute)]
    return [(method, one.path) for one in found for method in sorted(one.methods)]


class Everything:
    """Who is signed in, and where each page is: `pages` has (who, address) of each route."""

    def __init__(self, service: Any, app: Any) -> None:
        self.service, self._app = service, app
        users = service.ground.administration.users
        for role in ("key", "judicial"):
            users.create_user(role, display_name=SCRIPT, email=None, role=Role(role), actor="t")
        clerk = {"display_name": SCRIPT, "email": None, "role": Role.BUSINESS, "actor": "t"}
        users.create_user("clerk", **clerk)
        for name in ("li", "half"):
            users.create_user(name, display_name=SCRIPT, email=None, actor="t")
        self.at = {name: Browser(service, app, name) for name in (*ROLES, "li")}
        self.at["nobody"] = Browser(service, app, None)
        self.at["half"] = self._half_way()
        self.pages: dict[str, tuple[str, str]] = {}
        """Where each page is: who may see it, and its address."""
        self.answers: dict[str, Any] = {}
        """What forms answer with at once, by their routes."""
        self._fill()

    def show(self, who: str, address: str) -> Any:
        """Open a page."""
        return self.at[who].http.get(address, headers={"accept-language": "zh-CN"})

    def shown(self) -> dict[str, Any]:
        """Open every page; return each, and what forms answered with at once, by routes."""
        pages = {f"GET {route}": self.show(*where) for route, where in self.pages.items()}
        return pages | {f"POST {route}": answer for route, answer in self.answers.items()}

    def files(self) -> dict[str, dict[str, str]]:
        """Return the style sheets and scripts of the pages, with their types, by path."""
        paths = [path for _, path in routes(self.service) if path.startswith("/static/")]
        styles = ("/static/tokens.css", "/static/console.css")
        found = {path: self.show("nobody", path) for path in {*paths, *styles}}
        return {
            path: {"contentType": answer.headers["content-type"], "body": answer.text}
            for path, answer in found.items()
        }

    def tokens(self) -> dict[str, str]:
        """Return what forms carry in the browser of each administrator, and of a person."""
        csrf = r'name="csrf" value="([^"]+)"'
        return {who: _found(csrf, self.at[who], "/account") for who in (*ROLES, "li")}

    def browser(self, name: str, method: Method) -> Browser:
        """Somebody who signed in so."""
        browser = Browser(self.service, self._app, None)
        browser.http.cookies.set(cookies.SESSION, self.enter(name, method))
        return browser

    def enter(self, name: str, method: Method, *, cookie: str | None = None) -> str:
        """Let somebody in, whose browser has sent a cookie; return the new one."""
        administration = self.service.ground.administration
        user = administration.users.find_by_name(name)
        assert user is not None
        return administration.sessions.enter(user, method, cookie=cookie)

    def _half_way(self) -> Browser:
        """Somebody with a generator, who showed the password only."""
        passwords = self.service.provider.one_time_passwords
        user = self.service.ground.administration.users.find_by_name("half")
        assert user is not None
        secret = b32decode(passwords.offer(user))
        step = step_of(self.service.ground.clock.now())
        passwords.confirm(user, code_at(secret, step), address="192.0.2.1")
        return self.browser("half", PASSWORD)

    def _fill(self) -> None:
        self._fill_tree()
        self._fill_certificates()
        self._fill_many()
        self._fill_applications()
        self._fill_people()
        self._fill_logins()
        for who, paths in _AT_THEIR_ROUTE.items():
            self.pages |= {path: (who, path) for path in paths}

    def _fill_tree(self) -> None:
        business = self.at["business"]
        root = _found(r"/console/organisations/([0-9a-f]{32})", business, "/console/organisations")
        self.root = root
        above = f"/console/organisations/{root}"
        city = business.done(f"{above}/add", {"level": "city", "name": SCRIPT}).partition("?")[0]
        fields = {
            "kind": "person",
            "identifier_type": "identity-card",
            "identifier": "11010519491231002X",
            "name": SCRIPT,
            "organisation": root,
            "contact-phone": SCRIPT,
        }
        person = business.done("/console/subjects/new", fields).partition("?")[0]
        business.done(
            "/console/rights",
            {"operator": "clerk", "organisation": root, "steps": "entry"},
        )
        business.done(
            "/console/rights/rules", {"operation": "renew", "organisation": root, "review": "on"}
        )
        self.pages |= {
            "/console/organisations/{organisation_id}": ("business", city),
            "/console/subjects/{subject_id}": ("business", person),
        }

    def _enter(self, profile: str, **subject: str) -> str:
        csr = pem(REQUEST, make_csr())
        fields = {"profile": profile, "issuer": "sm2-issuing", "csr": csr}
        subjects = {f"subject-{name}": value for name, value in subject.items()}
        made = self.at["business"].done("/console/requests/new", fields | subjects)
        return made.partition("?")[0]

    def _fill_certificates(self) -> None:
        business = self.at["business"]
        rejected = self._enter("device", CN=SCRIPT)
        business.done(f"{rejected}/reject", {"reason": SCRIPT})
        waiting = self._enter("device", CN=SCRIPT)
        issued = self._enter("device", CN=SCRIPT)
        business.done(f"{issued}/approve")
        self.certificate = _found(
            r'href="(/console/certificates/[^"?]+/[0-9a-f]{40})"', business, issued
        )
        self.pages |= {
            "/console/requests/{request_id}": ("business", waiting),
            "/console/requests/new": ("business", "/console/requests/new?profile=device"),
            "/console/certificates/{issuer}/{serial}": ("business", self.certificate),
            "/console/certificates/{issuer}/{serial}/{act}": (
                "business",
                f"{self.certificate}/revoke",
            ),
        }
        pair = self._enter("device-dual-signing", CN=SCRIPT)
        business.done(f"{pair}/approve")
        asked = {
            "request_id": pair.rpartition("/")[2],
            "certificate": _found(r'href="/console/certificates/([^"?]+)"', business, pair),
            "reason": SCRIPT,
        }
        recovery = business.done("/console/recoveries/user", asked)
        self.pages["/console/recoveries/{recovery_id}"] = ("business", recovery)
        coded = {"profile": "device", "issuer": "sm2-issuing", "subject-CN": SCRIPT}
        coded = business.done("/console/requests/new", coded).partition("?")[0]
        self._answer("/console/requests/{request_id}/approve", business.post(f"{coded}/approve"))

    def _answer(self, route: str, answer: Any) -> None:
        assert answer.status_code < 300, (route, answer.status_code, answer.text)
        self.answers[route] = answer

    def _fill_many(self) -> None:
        business = self.at["business"]
        table = f"CN,dns\n{SCRIPT},bad_host!\na.example.gov.cn,a.example.gov.cn\n".replace('"', "")
        fields = {
            "profile": "device",
            "issuer": "sm2-issuing",
            "key_algorithm": "sm2",
            "label": SCRIPT,
        }
        made = business.post("/console/bulk", fields, files={"file": ("a.csv", table.encode())})
        self.service.bulk.worker.run()
        chosen = {"issuer": "sm2-issuing", "serials": self.certificate.rpartition("/")[2]}
        shown = business.post("/console/massrevocations/preview", chosen)
        proposal = business.done("/console/massrevocations", {**chosen, "reason": "superseded"})
        blocked = {"spki_fingerprint": "0" * 64, "reason": SCRIPT}
        business.done("/console/massrevocations/blocked-keys", blocked)
        self.pages |= {
            "/console/bulk/{batch_id}": ("business", made.headers["location"]),
            "/console/proposals/{proposal_id}": ("business", proposal),
            "/console/profiles/{name}": ("business", "/console/profiles/device"),
        }
        self._answer("/console/massrevocations/preview", shown)

    def _fill_applications(self) -> None:
        system = self.at["system"]
        fields = {
            "name": SCRIPT,
            "client_id": "scripted",
            "redirect_uris": CALLBACK,
            "scopes": ["openid", "profile"],
        }
        self._answer("/console/clients", system.post("/console/clients", fields))
        token = {"name": SCRIPT, "uses": "2", "days": "3"}
        self._answer(
            "/console/signingkeys/tokens", system.post("/console/signingkeys/tokens", token)
        )
        self.pages |= {
            "/console/clients/{client_id}": ("system", "/console/clients/scripted"),
            "/console/clients/{client_id}/access": ("system", "/console/clients/scripted/access"),
            "/console/clients/{client_id}/trial": (
                "system",
                "/console/clients/scripted/trial?user=li",
            ),
        }

    def _fill_people(self) -> None:
        system = self.at["system"]
        fields = {"name": "scripted", "display_name": SCRIPT}
        user = system.done("/console/users", fields).partition("?")[0]
        tie = {"organisation": self.root, "capacity": "agent"}
        system.done(f"{user}/affiliations", tie)
        answer = system.post(f"{user}/setup-link")
        self._answer("/console/users/{user_id}/setup-link", answer)
        setup = re.search(r"(/setup/[^<\s]+)<", answer.text)
        assert setup is not None
        self.pages |= {
            "/console/users/{user_id}": ("system", user),
            "/console/users/{user_id}/identities": ("system", f"{user}/identities"),
            "/setup/{token}": ("nobody", setup[1]),
        }

    def _fill_logins(self) -> None:
        """The portal, and what is left of a session that ended."""
        told = SQLParticipationStore(self.service.ground.database)
        uri = "https://oa.example.cn/bc"
        told.take_part(Participation("s", "scripted", "", Channel.OIDC, "u", uri, None))
        told.close(["s"], self.service.ground.clock.now())
        li, business = self.at["li"], self.at["business"]
        token = {"name": SCRIPT, "days": "3"}
        self._answer("/tokens", self.at["system"].post("/tokens", token, at="/"))
        self._answer("/account/security/totp", li.post("/account/security/totp", at="/account"))
        li.done("/certificates", {"kind": "person-authentication/sm2-issuing"}, at="/certificates")
        newest = _found(r"(/console/requests/[0-9a-f]{32})", business, "/console/requests")
        codes = re.findall(r'class="secret mono">([^<]+)<', business.post(f"{newest}/approve").text)
        fields = dict(zip(("reference", "code"), codes, strict=True))
        fields["csr"] = pem(REQUEST, make_csr())
        picked = li.post("/certificates/pickup", fields, at="/certificates/pickup")
        self._answer("/certificates/pickup", picked)
        own = _found(r'href="(/certificates/[a-z0-9-]+/[0-9a-f]+)"', li, "/certificates")
        asked = flow("scripted", prompt="consent", scope="openid profile").path
        consent = li.http.get(asked).headers["location"]
        refused = {"client": "scripted", "reason": "level", "next": "/"}
        self.pages |= {
            "/certificates/{issuer}/{serial}": ("li", own),
            "/login": ("nobody", f"/login?{urlencode({'login_hint': SCRIPT, 'next': SCRIPT})}"),
            "/login/password": ("nobody", f"/login/password?{urlencode({'name': SCRIPT})}"),
            "/login/step-up": ("half", "/login/step-up?next=/account"),
            "/login/consent": ("li", consent),
            "/login/refused": ("li", f"/login/refused?{urlencode(refused)}"),
        }


def _found(pattern: str, browser: Browser, path: str) -> str:
    match = re.search(pattern, browser.page(path))
    assert match is not None, (pattern, path)
    return match[1]


_AT_THEIR_ROUTE: Final = {
    "business": (
        "/console",
        "/console/bulk",
        "/console/certificates",
        "/console/massrevocations",
        "/console/notices",
        "/console/organisations",
        "/console/profiles",
        "/console/proposals",
        "/console/recoveries",
        "/console/requests",
        "/console/revocation",
        "/console/rights",
        "/console/start",
        "/console/statistics",
        "/console/subjects",
        "/console/subjects/new",
    ),
    "system": (
        "/console/clients",
        "/console/ceremonies",
        "/console/sessions",
        "/console/logouts",
        "/console/settings",
        "/console/signingkeys",
        "/console/users",
    ),
    "audit": ("/console/audit", "/console/audit/verification"),
    "nobody": ("/login/certificate", "/login/passkey", "/device"),
    "li": (
        "/",
        "/account",
        "/account/security",
        "/certificates",
        "/certificates/pickup",
        "/login/select",
    ),
}
"""Pages whose address is their route, and who may see them."""

NO_PAGES: Final = {
    "/console/bulk/{batch_id}/rows.csv": "a file",
    "/console/certificates/{issuer}/{serial}/download": "a file",
    "/certificates/{issuer}/{serial}/download": "a file",
    "/login/tls": "leads to where TLS asks for a certificate",
    "/login/tls/finish": "leads on",
    "/login/upstream/{name}": "leads to another system",
    "/login/upstream/{name}/callback": "leads on",
    "/login/directory/{name}": "there is a directory only where one is set",
}
"""What answers to GET and is no page, and why."""
