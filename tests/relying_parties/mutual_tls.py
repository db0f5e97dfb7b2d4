"""Clients that are known by their certificate, with curl: at the service itself, and behind nginx.

In front of the port for mutual TLS nginx passes octets on (`stream`): the certificate is proved to
the service itself, and there is no header to forge. The ordinary port it serves as any website.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from tests.conformance.browser import Browser
from tests.relying_parties.holders import der_of, jwks_of, name_of, of_ours, self_signed
from tests.relying_parties.scene import PASSWORD, PERSON, Holder, Scene

CALLBACK = "https://rp.example.cn/callback"
_NGINX = "127.0.0.2"
"""Where nginx listens, on the ports that the service has on 127.0.0.1: names and ports stay."""
_CONFIGURATION = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; pid {directory}/pid; error_log {directory}/log warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}/1; proxy_temp_path {directory}/2;
  fastcgi_temp_path {directory}/3; uwsgi_temp_path {directory}/4; scgi_temp_path {directory}/5;
  server {{
    listen {address}:{https} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {certificate};
    location / {{
      proxy_pass https://127.0.0.1:{https};
      proxy_set_header Host $http_host;
      proxy_ssl_trusted_certificate {trust}; proxy_ssl_verify on; proxy_ssl_name localhost;
    }}
  }}
}}
stream {{ server {{ listen {address}:{mutual}; proxy_pass 127.0.0.1:{mutual}; }} }}
"""


@dataclass
class Curl:
    """One client of an application: it shows a certificate, or none."""

    trust: Path
    address: str
    holder: Holder | None = None

    def __call__(self, url: str, *more: str, **form: str) -> tuple[int, Any]:
        """Return status and document; status 0 when TLS was refused."""
        port = urlsplit(url).port
        words = ["curl", "-s", "--cacert", self.trust, "-w", "\n%{http_code}", *more]
        words += ["--connect-to", f"localhost:{port}:{self.address}:{port}"]
        if self.holder is not None:
            words += ["--cert", self.holder.chain, "--key", self.holder.key]
        for name, value in form.items():
            words += ["--data-urlencode", f"{name}={value}"]
        done = subprocess.run([*words, url], capture_output=True, text=True, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body) if body.startswith("{") else body


def run(scene: Scene) -> dict[str, Any]:
    """Walk both kinds of clients both ways. Raises when something is not as it should be."""
    ours, stranger = of_ours(scene, "oa"), of_ours(scene, "stranger")
    own = self_signed(scene)
    clients = [
        (ours, _register(scene, "tls_client_auth", name_of(ours))),
        (own, _register(scene, "self_signed_tls_client_auth", {"jwks": jwks_of(own)})),
    ]
    endpoints = Curl(scene.trust, "127.0.0.1")(f"{scene.issuer}/.well-known/openid-configuration")[
        1
    ]
    waited = _wait_until_let_in(scene, *clients[1], endpoints)
    walked = []
    with _nginx(scene) as trust:
        for address in ("127.0.0.1", _NGINX):
            for holder, client_id in clients:
                walk = _Walk(scene, client_id, endpoints, trust, address, holder, stranger)
                walk.own_token()
                walk.token_of_a_person()
                walk.somebody_else()
                walked.append(f"{address} {holder.chain.stem}")
        serial = f"/certificates/rsa-issuing/{ours.serial}/revoke"
        scene.caller("business")("POST", serial, {"reason": "keyCompromise"})
        began = time.monotonic()
        walk = _Walk(scene, clients[0][1], endpoints, trust, _NGINX, ours, stranger)
        status, said = walk.token()
        assert (status, said["error"]) == (401, "invalid_client"), said
    return {
        "walked": walked,
        "a new self-signed certificate was let in after, s": waited,
        "revoked to refused, s": round(time.monotonic() - began, 2),
    }


@dataclass
class _Walk:
    scene: Scene
    client_id: str
    endpoints: dict[str, Any]
    trust: Path
    address: str
    holder: Holder
    stranger: Holder

    def curl(self, holder: Holder | None) -> Curl:
        return Curl(self.trust, self.address, holder)

    def mutual(self, name: str) -> str:
        return str(self.endpoints["mtls_endpoint_aliases"][name])

    def token(self, holder: Holder | None = None, **form: str) -> tuple[int, Any]:
        fields = {"grant_type": "client_credentials", "client_id": self.client_id} | form
        return self.curl(holder or self.holder)(self.mutual("token_endpoint"), **fields)

    def own_token(self) -> None:
        """A token of the client itself is bound to its certificate (RFC 8705, 3)."""
        status, said = self.token()
        assert status == 200, said
        form = {"token": said["access_token"], "client_id": self.client_id}
        seen = self.curl(self.holder)(self.mutual("introspection_endpoint"), **form)[1]
        assert seen["cnf"] == {"x5t#S256": _thumbprint(self.holder)}, seen

    def token_of_a_person(self) -> None:
        """A person logs in; the token is of use to who shows the certificate alone."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid profile",
            "state": "s",
            "nonce": "n",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        where = Browser(self.scene.service.root).log_in(
            f"{self.endpoints['authorization_endpoint']}?{urlencode(asked)}",
            until=CALLBACK,
            name=PERSON,
            password=PASSWORD,
        )
        (code,) = parse_qs(urlsplit(where).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        form["code_verifier"] = verifier
        assert self.token(self.stranger, **form)[0] in (0, 401)
        status, said = self.token(**form)
        assert status == 200, said
        bearer = ("-H", f"Authorization: Bearer {said['access_token']}")
        there = self.mutual("userinfo_endpoint")
        status, person = self.curl(self.holder)(there, *bearer)
        assert (status, person["preferred_username"]) == (200, PERSON), person
        assert self.curl(self.stranger)(there, *bearer)[0] == 401
        assert self.curl(None)(self.endpoints["userinfo_endpoint"], *bearer)[0] == 401

    def somebody_else(self) -> None:
        """Without the certificate, with another one, or with a header that says so: nothing."""
        assert self.token(self.stranger)[0] == 401
        assert Curl(self.trust, self.address)(self.mutual("token_endpoint"))[0] == 0
        pem = quote(self.holder.chain.read_text())
        for name in ("X-Yinxin-Client-Certificate", "X-SSL-Client-Cert", "SSL-Client-Cert"):
            status, said = self.curl(None)(
                self.endpoints["token_endpoint"],
                *("-H", f"{name}: {pem}"),
                grant_type="client_credentials",
                client_id=self.client_id,
            )
            assert (status, said["error"]) == (401, "invalid_client"), said


def _register(scene: Scene, method: str, keys: dict[str, Any]) -> str:
    file = scene.directory / f"{method}.json"
    grants = ["authorization_code", "client_credentials"]
    bound = {"tls_client_certificate_bound_access_tokens": True, "grant_types": grants}
    file.write_text(json.dumps(bound | keys))
    words = ("--auth-method", method, "--metadata", str(file), "--redirect-uri", CALLBACK)
    return str(scene.register(method, *words)["client_id"])


def _thumbprint(holder: Holder) -> str:
    digest = hashlib.sha256(der_of(holder)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _wait_until_let_in(
    scene: Scene, holder: Holder, client_id: str, endpoints: dict[str, Any]
) -> float:
    walk = _Walk(scene, client_id, endpoints, scene.trust, "127.0.0.1", holder, holder)
    began = time.monotonic()
    while walk.token()[0] != 200:
        assert time.monotonic() - began < 60, walk.token()
        time.sleep(0.5)
    return round(time.monotonic() - began, 1)


@contextmanager
def _nginx(scene: Scene) -> Iterator[Path]:
    """Run it; gives what to trust: our root, and nginx's own certificate."""
    directory = scene.directory / "nginx"
    directory.mkdir()
    trust = directory / "trust.pem"
    own = scene.certificate.read_text()
    trust.write_text(scene.trust.read_text() + own[: own.index("-----BEGIN PRIVATE KEY-----")])
    configuration = directory / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            directory=directory,
            certificate=scene.certificate,
            trust=scene.trust,
            address=_NGINX,
            https=scene.service.https_port,
            mutual=scene.service.mutual_tls_port,
        )
    )
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", configuration])
    try:
        for _ in range(100):
            assert process.poll() is None, (directory / "log").read_text()
            if (directory / "pid").exists():
                break
            time.sleep(0.05)
        yield trust
    finally:
        process.terminate()
        process.wait()
