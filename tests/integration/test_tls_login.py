"""Certificates that TLS asked for: on a port of ours, and behind nginx on another."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI

from authn import cookies
from authn.levels import Level
from tests.integration.browsing import make_certificate
from tests.integration.provider import ISSUER, House, build
from tests.ports import free_ports
from yinxin import server
from yinxin.app_parts import add_routes
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes_tls import make_tls_router

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/log info;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/1; proxy_temp_path {folder}/2;
  fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/tls.pem; ssl_certificate_key {folder}/tls.key;
    ssl_verify_client optional_no_ca;
    location /login/tls/certificate {{
      proxy_pass https://127.0.0.1:{behind};
      proxy_ssl_certificate {folder}/proxy.pem; proxy_ssl_certificate_key {folder}/proxy.key;
      proxy_ssl_trusted_certificate {folder}/tls.pem; proxy_ssl_verify on;
      proxy_ssl_name localhost;
      proxy_set_header X-Yinxin-Client-Certificate $ssl_client_escaped_cert;
    }}
  }}
}}
"""
PATH = "/login/tls/certificate"


@dataclass
class Place:
    house: House
    folder: Path
    ours: int
    nginx: int

    def visit(self, port: int, nonce: str, who: str | None, **headers: str) -> requests.Response:
        return requests.get(
            f"https://localhost:{port}{PATH}",
            params={"nonce": nonce, "next": "/x"},
            cert=None if who is None else (self.file(f"{who}.pem"), self.file(f"{who}.key")),
            verify=self.file("tls.pem"),
            headers=headers,
            allow_redirects=False,
            timeout=60,
        )

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def pem(self, who: str) -> str:
        return (self.folder / f"{who}.pem").read_text()

    def der(self, who: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.pem(who))


def spki_of(der: bytes) -> bytes:
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def place(sqlite_database, audit, clock, tmp_path) -> Iterator[Place]:
    for name in ("tls", "zhang", "proxy", "stranger"):
        make_certificate("localhost" if name == "tls" else name, tmp_path, name)
    ours, nginx = free_ports(2)
    proxy = ssl.PEM_cert_to_DER_cert((tmp_path / "proxy.pem").read_text())
    house = build(
        sqlite_database,
        audit=audit,
        clock=clock,
        tls_login_url=f"https://localhost:{ours}",
        tls_proxy_keys=(hashlib.sha256(spki_of(proxy)).hexdigest(),),
    )
    place = Place(house, tmp_path, ours, nginx)
    house.verifier.add(place.der("zhang"), spki_of(place.der("zhang")))
    house.verifier.add(proxy, spki_of(proxy), subject=b"1\x00")
    for name, der in (("zhang.wei", place.der("zhang")), ("proxy", proxy)):
        user = house.user(name, password=None)
        house.provider.certificates.bind_presented(user, [der], actor="t")
    with serving(place):
        yield place


@contextmanager
def serving(place: Place) -> Iterator[None]:
    app = FastAPI()
    add_routes(app, make_tls_router(place.house.provider, PortalPages()))
    context = server.server_context()
    context.load_cert_chain(place.file("tls.pem"), place.file("tls.key"))
    trusted = "".join(place.pem(name) for name in ("zhang", "proxy", "stranger"))
    server.require_client_certificates(context, trusted)
    listener = server.Listener(server.bind("127.0.0.1", place.ours), app, tls=context)
    running = uvicorn.Server(server._config(listener))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener.sock]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield
    running.should_exit = True
    thread.join(timeout=60)


@pytest.fixture
def nginx(place) -> Iterator[int]:
    conf = place.folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=place.folder, port=place.nginx, behind=place.ours))
    log = place.folder / "log"
    process = subprocess.Popen(["nginx", "-e", log, "-p", place.folder, "-c", conf])
    for _ in range(1200):
        assert process.poll() is None, log.read_text()
        if (place.folder / "pid").exists():
            break
        time.sleep(0.05)
    yield place.nginx
    process.terminate()
    process.wait(timeout=60)


def begin(place):
    browser = place.house.browser()
    sent = urlsplit(browser.get("/login/tls?next=/x").headers["location"])
    assert (sent.netloc, sent.path) == (f"localhost:{place.ours}", PATH)
    return browser, sent.query.split("nonce=")[1].split("&")[0]


def finish(browser, answer):
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith(f"{ISSUER}/login/tls/finish?ticket=")
    return browser.get(location.removeprefix(ISSUER))


def test_a_browser_logs_in_by_tls_on_our_own_port(place):
    browser, nonce = begin(place)
    answer = place.visit(place.ours, nonce, "zhang")
    assert finish(browser, answer).headers["location"] == "/x"
    session, user = place.house.provider.administration.sessions.find(
        browser.cookies[cookies.SESSION]
    )
    assert (user.name, session.level) == ("zhang.wei", Level.CERTIFICATE)
    assert finish(place.house.browser(), answer).status_code == 401, "another browser"
    assert finish(browser, answer).status_code == 401, "a second time"


def test_a_header_from_outside_is_not_even_read(place):
    _, nonce = begin(place)
    forged = {"X-Yinxin-Client-Certificate": quote(place.pem("zhang"))}
    assert place.visit(place.ours, nonce, "stranger", **forged).status_code == 401
    with pytest.raises(requests.ConnectionError):
        place.visit(place.ours, nonce, None, **forged)


def test_nginx_passes_the_certificate_on_and_nobody_elses(place, nginx):
    browser, nonce = begin(place)
    assert finish(browser, place.visit(nginx, nonce, "zhang")).status_code == 303
    forged = {"X-Yinxin-Client-Certificate": quote(place.pem("zhang"))}
    for who in (None, "stranger"):
        _, nonce = begin(place)
        assert place.visit(nginx, nonce, who, **forged).status_code == 401
    assert place.visit(place.ours, nonce, "proxy").status_code == 401, "never as the proxy itself"
    nonsense = {"X-Yinxin-Client-Certificate": "nonsense"}
    assert place.visit(place.ours, nonce, "proxy", **nonsense).status_code == 400


def test_a_certificate_that_is_revoked_on_the_way_is_refused(place):
    browser, nonce = begin(place)
    answer = place.visit(place.ours, nonce, "zhang")
    del place.house.verifier.known[place.der("zhang")]
    assert finish(browser, answer).status_code == 401
    assert place.house.audit.actions[-1] == "login.failed"
    assert place.visit(place.ours, nonce, "zhang").status_code == 401


def test_a_ticket_is_good_for_a_minute_and_cannot_be_made(place):
    browser, nonce = begin(place)
    answer = place.visit(place.ours, nonce, "zhang")
    for ticket in ("", "x", "AAAA" * 20, "é"):
        assert browser.get("/login/tls/finish", params={"ticket": ticket}).status_code == 401
    place.house.clock.advance(seconds=61)
    assert finish(browser, answer).status_code == 401
