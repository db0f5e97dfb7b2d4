"""What people do on the pages, and at their own command lines."""

from __future__ import annotations

import re
import subprocess
import time
from base64 import b64encode
from html import unescape
from pathlib import Path

from tests.judges.window import Chromium, Window

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
