"""A service, two people and a certificate: what every relying party needs."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.browser import Browser
from tests.hosts import Caller, issue
from tests.servers import localhost_certificate
from tests.service import Service

PASSWORD = "a long enough passphrase 7"
PERSON = "zhang.wei"


@dataclass
class Scene:
    """Where everything is."""

    service: Service
    directory: Path
    certificate: Path
    """Key and certificate for localhost, which applications here serve with."""

    @property
    def trust(self) -> Path:
        """The root of the service, where servers of other users can read it."""
        copied = self.directory / "trust.pem"
        copied.write_bytes(self.service.root.read_bytes())
        return copied

    @property
    def issuer(self) -> str:
        return self.service.url

    def register(self, name: str, *options: str) -> dict[str, Any]:
        return json.loads(self.service.yinxin("client", "register", name, "--json", *options))

    def caller(self, role: str) -> Caller:
        return Caller(self.service, role)

    def wait_until_told(self) -> None:
        """Wait until no application is to be told of a logout any more, five seconds at most."""
        call, until = self.caller("system"), time.monotonic() + 5
        while waiting := call("GET", "/logout-queue"):
            assert time.monotonic() < until, waiting
            time.sleep(0.1)

    def add_person(self, name: str) -> None:
        link = self.service.yinxin("user", "create", name, "--display-name", "张伟")
        answer = Browser(self.service.root).submit(link, password=PASSWORD, repeat=PASSWORD)
        assert answer.status_code == 200, answer.text

    def certify(self, name: str) -> Holder:
        """Give a person an RSA certificate that logs them in."""
        key, csr = self.directory / f"{name}.key", self.directory / f"{name}.csr"
        subprocess.run(
            [
                *("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key),
                *("-out", csr, "-subj", f"/C=CN/O=Relying/CN={name}"),
            ],
            check=True,
            capture_output=True,
        )
        chain = issue(self.caller("business"), csr.read_text(), "device")
        path = self.directory / f"{name}.pem"
        path.write_bytes(chain)
        self.service.yinxin("user", "bind-certificate", name, path)
        return Holder(key, path)


@dataclass
class Holder:
    """Who has a key and its certificate."""

    key: Path
    chain: Path

    def sign(self, message: str) -> tuple[str, str]:
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.key],
            input=message.encode(),
            capture_output=True,
            check=True,
        )
        return self.chain.read_text(), base64.b64encode(done.stdout).decode()

    @property
    def serial(self) -> str:
        done = subprocess.run(
            ["openssl", "x509", "-in", self.chain, "-noout", "-serial"],
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout.strip().partition("=")[2].lower()


def recipe(page: str, language: str, changes: Mapping[str, str]) -> str:
    """Return the configuration that a page shows, with the names of this run."""
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None, page
    made = found[1]
    for old, new in changes.items():
        assert old in made, old
        made = made.replace(old, new)
    return made


@contextmanager
def scene(**environment: str) -> Iterator[Scene]:
    """Bring it up, and take it down."""
    with tempfile.TemporaryDirectory(prefix="yinxin-rp-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        certificate = localhost_certificate(directory)
        service = Service(
            directory / "state",
            {
                "YINXIN_AUTHN__OUTBOUND__ALLOWED_NETWORKS": '["127.0.0.0/8", "::1/128"]',
                "YINXIN_AUTHN__OUTBOUND__TRUST_FILE": str(certificate),
                **environment,
            },
        ).start()
        try:
            made = Scene(service, directory, certificate)
            made.add_person(PERSON)
            yield made
        finally:
            service.stop()
