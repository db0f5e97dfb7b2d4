"""What people do on the pages, and at their own command lines."""

from __future__ import annotations

import re
import subprocess
import time
from base64 import b32decode, b64encode, urlsafe_b64encode
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from authn.totp import code_at, step_of
from core.clock import SystemClock
from tests.judges.window import Chromium, Window
from tests.service import Service

PASSWORD = "correct horse battery"
STANDARD_ID = "1234567812345678"


def make_csr(directory: Path, name: str) -> str:
    """Make an SM2 key `name`.pem and a certificate request."""
    key = directory / f"{name}.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "SM2", "-out", key], check=True)
    made = subprocess.run(
        [
            *("openssl", "req", "-new", "-key", key, "-sm3", "-subj", f"/C=CN/CN={name}"),
            *("-sigopt", f"distid:{STANDARD_ID}"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout


def make_recipient(directory: Path) -> str:
    """The certificate for whom the package of a batch is encrypted."""
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=recipient"),
            *("-keyout", directory / "recipient.pem"),
            *("-addext", "keyUsage=critical,keyEncipherment"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout


def until(person: Window, text: str) -> None:
    """Look again, as the page does by itself, until it says `text`."""
    for _ in range(240):
        if text in person.text():
            return
        time.sleep(0.5)
        person.open(person.path())
    raise AssertionError(person.text())


def choose_password(person: Window, link: str) -> None:
    """Open a set-up link."""
    person.open(link)
    person.fill(password=PASSWORD, repeat=PASSWORD)
    person.press("保存")
    assert "口令已设置" in person.text()


def sign_in(person: Window, name: str) -> None:
    """Go on from the set-up link."""
    person.follow("登录")
    person.fill(name=name, password=PASSWORD)
    person.press("登录")


def begin_step(person: Window, step: str) -> None:
    """Go to where a first step is taken."""
    person.open("/console/start")
    person.follow(step)


def enrol_generator(person: Window) -> None:
    """Set up one-time passwords at the page of factors."""
    person.press("启用动态口令")
    secret = b32decode(found(r"[?;]secret=([A-Z2-7]+)&", person.html()))
    person.fill(code=code_at(secret, step_of(SystemClock().now())))
    person.press("启用动态口令")
    assert "已启用" in person.text()


def newcomer(chromium: Chromium, system: Window, name: str, role: str = "") -> Window:
    """Create a user at the console; return the window where they are signed in, without script."""
    system.open("/console/users")
    system.unfold("新建用户")
    system.fill(name=name, display_name=f"用户{name}", role=role)
    system.press("新建用户")
    system.press("生成设置链接")
    link = found(r"https://[^/<]+(/setup/[^<]+)<", system.html())
    person = chromium.window(script=False)
    choose_password(person, link)
    person.log_in(name, PASSWORD)
    return person


def found(pattern: str, text: str) -> str:
    """Return the first group of the first match."""
    match = re.search(pattern, text)
    assert match is not None, (pattern, text)
    return match[1]


def newest(person: Window, section: str) -> str:
    """Open the newest entry of a list of the console; return its path."""
    person.open(f"/console/{section}")
    path = found(rf'<td[^>]*><a href="(/console/{section}/[^"?]+)"', person.html())
    person.open(path)
    return path


def apply_for(person: Window, kind: str) -> None:
    """Apply in the portal."""
    person.open("/certificates")
    person.fill(kind=f"{kind}/sm2-issuing")
    person.press("提交申请")
    assert "待审核" in person.text()


def pick_up(person: Window, operator: Window, csr: str) -> None:
    """Bring the two codes that an operator's page shows, and a request."""
    reference, code = re.findall(r'class="secret mono">([^<]+)<', operator.html())
    person.open("/certificates/pickup")
    person.fill(reference=reference, code=code, csr=csr)
    person.press("领取")
    assert "证书已签发" in person.text()


def want_made(operator: Window, root: str, profile: str, *, maker: str) -> None:
    """Let somebody else make what was reviewed, for a profile and the whole tree."""
    operator.open("/console/rights")
    operator.unfold("授权")
    operator.fill(operator=maker, organisation=root, steps="make")
    operator.press("授权")
    operator.open("/console/rights")
    operator.unfold("设置规则")
    operator.fill(operation="apply", profile=profile, organisation=root, make="on")
    operator.press("保存")


def own_certificate(person: Window) -> str:
    """Open the first of their certificates; return its path."""
    person.open("/certificates")
    path = found(r'href="(/certificates/[a-z0-9-]+/[0-9a-f]+)"', person.html())
    person.open(path)
    return path


def log_in_by_certificate(person: Window, certificate: str, key: Path) -> None:
    """Sign the challenge with a key, as the page explains it."""
    person.open("/login/certificate")
    challenge = key.with_suffix(".txt")
    challenge.write_text(unescape(found(r'id="message"[^>]*>([^<]+)<', person.html())))
    signed = subprocess.run(
        [
            *("openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin"),
            *("-digest", "sm3", "-pkeyopt", f"distid:{STANDARD_ID}", "-in", challenge),
        ],
        check=True,
        capture_output=True,
    )
    person.fill(certificate=certificate, signature=b64encode(signed.stdout).decode())
    person.press("登录")


def upload_batch(person: Window, directory: Path, names: list[str]) -> None:
    """Upload a file of gateways, and wait until it is checked."""
    start_batch(person, directory, names)
    until(person, "待提交")


def start_batch(person: Window, directory: Path, names: list[str]) -> None:
    """Upload a file of gateways at the page of bulk."""
    table = directory / "gateways.csv"
    table.write_text("CN,dns\n" + "".join(f"{name},{name}\n" for name in names))
    person.open("/console/bulk")
    person.unfold("上传文件")
    person.choose("file", table)
    person.fill(profile="device", issuer="sm2-issuing", key_algorithm="sm2", label="网关")
    person.press("上传文件")


def register_application(
    person: Window, name: str, client_id: str, callback: str, button: str
) -> None:
    """Fill in the form of the page of applications, which is open."""
    person.unfold(button)
    person.fill(name=name, client_id=client_id, redirect_uris=callback)
    person.press(button)


def secret_of(person: Window) -> str:
    """Return the secret that is shown this once."""
    return found(r'class="secret mono">([^<]{20,})<', person.html())


VERIFIER = "v" * 43


def authorization(service: Service, client_id: str, **changes: str) -> str:
    """Where an application sends people to log in."""
    asked = {
        "client_id": client_id,
        "response_type": "code",
        "scope": "openid profile",
        "redirect_uri": f"{service.url}/callback",
        "state": "s" * 22,
        "code_challenge_method": "S256",
        "code_challenge": urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).decode()[:43],
    }
    return f"{service.url}/oidc/authorize?{urlencode(asked | changes)}"


def enter(
    person: Window, service: Service, client_id: str, *, name: str, words: tuple[str, str, str]
) -> str:
    """Log in where an application sends people; return where they come back to.

    `words`: the button that logs in, what the application is called, the button that agrees.
    """
    person.go(authorization(service, client_id, prompt="consent"))
    person.fill(name=name, password=PASSWORD)
    person.press(words[0])
    assert words[1] in person.text()
    person.press(words[2])
    return person.url()


def redeem(service: Service, landed: str, client: tuple[str, str]) -> dict[str, Any]:
    """Exchange the code that came back, as the application does."""
    callback = f"{service.url}/callback"
    assert landed.startswith(f"{callback}?"), landed
    answer = parse_qs(urlsplit(landed).query)
    assert answer["state"] == ["s" * 22]
    given = {"code": answer["code"][0], "redirect_uri": callback, "code_verifier": VERIFIER}
    told: dict[str, Any] = requests.post(
        f"{service.url}/oidc/token",
        data={"grant_type": "authorization_code", **given},
        auth=client,
        verify=str(service.root),
        timeout=60,
    ).json()
    return told
