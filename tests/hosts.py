"""Hosts beside an authority, brought up as docs/deployment.md says."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from posixpath import normpath
from typing import Any

from tests.service import Service


class Said(Exception):
    """What a service refused with."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status} {detail}")
        self.status = status


@dataclass
class Caller:
    """One administrator of one host, calling its API without the command line's start-up."""

    host: Service
    user: str
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = self.host.token(self.user)

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        with closing(self.connect()) as connection:
            return self.over(connection, method, path, body)

    def connect(self) -> HTTPSConnection:
        """Make a connection for many calls: most of what a call costs is the handshake."""
        context = ssl.create_default_context(cafile=self.host.root)
        return HTTPSConnection("localhost", self.host.https_port, context=context, timeout=60)

    def over(self, connection: HTTPSConnection, method: str, path: str, body: object = None) -> Any:
        """Call over a connection that stays open."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        connection.request(method, normpath(f"/api/v1{path}"), content, headers)
        answer = connection.getresponse()
        octets = answer.read()
        said = json.loads(octets) if octets.startswith((b"{", b"[")) else octets
        if answer.status >= 400:
            raise Said(answer.status, said["detail"])
        return said


def certify(host: Service, authority: Service, work: Path) -> str:
    """Give a new host its key and the authority's certificate; return its fingerprint."""
    work.mkdir(exist_ok=True)
    csr, chain = work / "host.csr", work / "host.pem"
    host.yinxin("host", "request", "--role", host.role, "--out", csr)
    chain.write_bytes(issue(Caller(authority, "business"), csr.read_text(), "device"))
    host.yinxin("host", "install", chain, "--root", authority.root)
    return host.yinxin("host", "key")


def issue(call: Caller, csr: str, profile: str, issuer: str = "rsa-issuing") -> bytes:
    """Have a certificate issued; return its chain, PEM."""
    asked = call("POST", "/requests", {"csr": csr, "profile": profile, "issuer": issuer})
    made = call("POST", f"/requests/{asked['id']}/approve", {})
    serial = made["certificate"]["serial"]
    return bytes(call("GET", f"/certificates/{issuer}/{serial}?format=chain"))


def key_management_apart(
    work: Path, environment: dict[str, str] | None = None
) -> tuple[Service, Service]:
    """Start an authority and a key management centre that know each other.

    `environment`: more of the centre's settings.
    """
    centre = Service(
        work / "km",
        {"YINXIN_KEY_MANAGEMENT__REFILL_SECONDS": "1", **(environment or {})},
        role="km",
    )
    # Its key first: the authority then knows it from its first start on.
    centre.yinxin("host", "request", "--role", "km", "--out", work / "km.csr")
    authority = Service(
        work / "ca",
        {
            "YINXIN_KEY_MANAGEMENT__URL": f"https://localhost:{centre.mutual_tls_port}",
            "YINXIN_KEY_MANAGEMENT__CENTRE_KEYS": json.dumps([centre.yinxin("host", "key")]),
            "YINXIN_KEY_MANAGEMENT__TIMEOUT_SECONDS": "1.5",
            "YINXIN_KEY_MANAGEMENT__REFILL_SECONDS": "1",
        },
    ).start()
    known = json.dumps([authority.yinxin("host", "key")])
    centre.environment |= {"YINXIN_KEY_MANAGEMENT__AUTHORITY_KEYS": known}
    certify(centre, authority, work / "certify")
    return authority, centre.start()


ADMINISTRATION = {
    "GET /api/v1/audit/events": {"audit"},
    "GET /api/v1/audit/verification": {"audit"},
    "GET /metrics": {"system", "audit"},
    "POST /api/v1/clients": {"system"},
    "GET /api/v1/clients": {"system", "audit"},
    "GET /api/v1/clients/{client_id}": {"system", "audit"},
    "DELETE /api/v1/clients/{client_id}": {"system"},
    "POST /api/v1/users": {"system"},
    "GET /api/v1/users": {"system", "audit"},
    "GET /api/v1/users/{user_id}": {"system", "audit"},
    "POST /api/v1/users/{user_id}/role": {"system"},
    "POST /api/v1/users/{user_id}/credential": {"system"},
    "GET /api/v1/signing-keys": {"system", "audit"},
    "POST /api/v1/signing-keys/rotate": {"system"},
    "POST /api/v1/users/{user_id}/setup-link": {"system"},
    "POST /api/v1/users/{user_id}/end-sessions": {"system"},
    "GET /api/v1/sessions": {"system", "audit"},
    "POST /api/v1/sessions/{sid}/end": {"system"},
    "POST /api/v1/sessions/of-application/{client_id}/end": {"system"},
    "GET /api/v1/logout-queue": {"system", "audit"},
    "POST /api/v1/logout-queue/{client_id}/retry": {"system"},
    "POST /api/v1/logout-queue/{client_id}/drop": {"system"},
    "POST /api/v1/users/{user_id}/disable": {"system"},
    "POST /api/v1/users/{user_id}/enable": {"system"},
    "POST /api/v1/certificate-bindings": {"system"},
    "GET /api/v1/certificate-bindings": {"system", "audit"},
    "DELETE /api/v1/certificate-bindings/{binding_id}": {"system"},
    "DELETE /api/v1/affiliations/{affiliation_id}": {"system"},
    "DELETE /api/v1/registration-tokens/{token_id}": {"system"},
    "GET /api/v1/clients/{client_id}/access": {"system", "audit"},
    "GET /api/v1/clients/{client_id}/trial": {"system", "audit"},
    "GET /api/v1/registration-tokens": {"system"},
    "GET /api/v1/users/{user_id}/affiliations": {"system", "audit"},
    "POST /api/v1/clients/{client_id}/secret": {"system"},
    "POST /api/v1/registration-tokens": {"system"},
    "POST /api/v1/users/{user_id}/affiliations": {"system"},
    "PUT /api/v1/clients/{client_id}": {"system"},
    "PUT /api/v1/clients/{client_id}/access": {"system"},
    "PUT /api/v1/users/{user_id}/real-name": {"system"},
    "PUT /api/v1/users/{user_id}/contact": {"system"},
    "POST /api/v1/users/{user_id}/reset-factors": {"system"},
    "GET /api/v1/health-checks": {"system", "audit"},
    "GET /api/v1/whoami": {"system", "business", "audit", "key", "judicial"},
}
"""What hosts of every role serve, and to which administrators."""


def check_doors(host: Service, allowed: dict[str, set[str]]) -> None:
    """The matrix of roles and endpoints of one host: `allowed` and what every host has."""
    allowed = ADMINISTRATION | allowed
    roles = ("system", "business", "audit", "key", "judicial")
    present = {line.split("\t")[0] for line in host.yinxin("user", "list").splitlines()}
    for role in set(roles) - present:
        host.yinxin("user", "create", role, "--display-name", role, "--role", role)
    callers = {role: Caller(host, role) for role in roles}
    document = callers["system"]("GET", "/../openapi.json")
    published = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(("/api/", "/metrics")) and "/login/certificate" not in path
    }
    doors = {door for door in published if "/proposals" not in door}
    assert doors == set(allowed), doors ^ set(allowed)
    for role, caller in callers.items():
        for door, refused in knock(caller, sorted(allowed)).items():
            assert refused == (role not in allowed[door]), (door, role)


def knock(caller: Caller, doors: Sequence[str]) -> dict[str, bool]:
    """Call every door; return which refused the role of the caller."""
    refused = {}
    with closing(caller.connect()) as connection:
        for door in doors:
            method, _, path = door.partition(" ")
            filled = re.sub(r"\{[^}]*\}", "0", path)
            try:
                caller.over(connection, method, f"/../..{filled}")
                refused[door] = False
            except Said as said:
                # A right that is missing is not a role that is: its words differ.
                refused[door] = said.status == 403 and "this needs the role" in str(said)
            except (ConnectionError, HTTPException):
                # It was idle for too long on a machine with much else to do.
                connection.close()
                if len(doors) == 1:
                    raise
                refused |= knock(caller, [door])
    return refused
