"""nginx with auth_request, as docs/connect/nginx.md has it, and an unchanged application."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from tests.judges.apache import application
from tests.judges.chromium import Chromium
from tests.ports import free_ports
from tests.relying_parties.scene import PASSWORD, PERSON, Scene, recipe

_AROUND = """
daemon off; user www-data; pid {directory}/pid; error_log {directory}/log warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}/1; proxy_temp_path {directory}/2;
  fastcgi_temp_path {directory}/3; uwsgi_temp_path {directory}/4; scgi_temp_path {directory}/5;
  ssl_certificate {certificate}; ssl_certificate_key {certificate};
{recipe}
}}
"""


def run(scene: Scene) -> dict[str, Any]:
    """Log in, read the headers, end the session. Raises when something is not as it should be."""
    (port,) = free_ports(1)
    origin = f"https://localhost:{port}"
    scene.register("Behind nginx", "--gate-origin", origin)
    directory = scene.directory / "nginx"
    directory.mkdir()
    with application() as behind, Chromium(scene.directory / "profile") as browser:
        text = _AROUND.format(
            directory=directory, certificate=scene.certificate, recipe=_recipe(scene, port, behind)
        )
        (directory / "nginx.conf").write_text(text)
        process = subprocess.Popen(["/usr/sbin/nginx", "-c", directory / "nginx.conf"])
        try:
            time.sleep(1)
            browser.log_in(f"{origin}/page", PERSON, PASSWORD, until=f"{origin}/page")
            headers = browser.json()
            assert headers["remote-user"] == PERSON, headers
            assert headers["host"] == headers["x-forwarded-host"] == f"localhost:{port}", headers
            _spoofed(scene, port)
            scene.service.yinxin("user", "end-sessions", PERSON)
            began = time.monotonic()
            browser.goto(f"{origin}/page")
            assert browser.url.startswith(scene.issuer), browser.url
            seconds = round(time.monotonic() - began, 2)
            _deep_link_and_way_out(scene, browser, origin)
        finally:
            process.terminate()
            process.wait()
    return {"sessions ended to refused, s": seconds}


def _spoofed(scene: Scene, port: int) -> None:
    """What a browser says of itself does not let it in, nor change what leads to the login."""
    claims = ("Remote-User: root", "Remote_User: root", "X-Forwarded-Host: other.example")
    said = [word for one in claims for word in ("-H", one)]

    def ask(path: str) -> str:
        address = f"https://localhost:{port}{path}"
        asked = ["curl", "-si", "--cacert", str(scene.certificate), *said, address]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout

    assert ask("/page").startswith("HTTP/1.1 302")
    assert f"origin=https%3A%2F%2Flocalhost%3A{port}&" in ask("/.yinxin/start?to=/page")


def _deep_link_and_way_out(scene: Scene, browser: Chromium, origin: str) -> None:
    """People come back to the whole address, and sign out from where they are."""
    deep = f"{origin}/list?year=2026&name=%E5%BC%A0&to=%2Fx"
    browser.log_in(deep, PERSON, PASSWORD, until=deep)
    assert browser.json()["remote-user"] == PERSON
    browser.goto(f"{origin}/.yinxin/logout")
    assert browser.url.startswith(f"{scene.issuer}/oidc/logout"), browser.url
    browser.click("form[action='/oidc/logout/confirm'] button", until=scene.issuer)
    browser.goto(deep)
    assert browser.url.startswith(f"{scene.issuer}/login"), browser.url


def _recipe(scene: Scene, port: int, behind: int) -> str:
    """Take the page's own configuration, with the names of this run."""
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "server_name old.example.gov.cn": "server_name localhost",
        "http://127.0.0.1:8000": f"http://127.0.0.1:{behind}",
        "https://id.example.gov.cn/gate/": f"{scene.issuer}/gate/",
        "Host id.example.gov.cn": f"Host localhost:{scene.service.https_port}",
        "proxy_ssl_server_name on;": "proxy_ssl_server_name on; proxy_ssl_name localhost;",
        "/etc/nginx/yinxin-root.pem": str(scene.trust),
    }
    return recipe("docs/connect/nginx.md", "nginx", changes)
