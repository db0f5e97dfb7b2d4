"""Make the pictures of README.md and README.zh.md: `scripts/pictures`.

An installation with a few people and certificates, drawn in this process, photographed in Chromium.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from tests.integration.console import ORIGIN, Browser, installation
from tests.integration.test_console import issue
from tests.integration.test_own_certificates import have_one, make_person
from tests.judges.window import Chromium
from yinxin.wiring import Service

PICTURES: Final = Path(__file__).parent.parent / "docs/img"
LANGUAGES: Final = {"zh": "zh-CN", "en": "en-US"}
WIDTH, HEIGHT = 1000, 720
STYLES: Final = ("/static/tokens.css", "/static/portal.css", "/static/console.css")
GATEWAYS: Final = ("vpn", "oa", "mail", "portal", "archive", "permits", "registry")


class Office:
    """A county's office on an ordinary day."""

    def __init__(self, service: Service, app: Any) -> None:
        self.nobody = Browser(service, app, None)
        self.business = Browser(service, app, "business")
        for one in GATEWAYS:
            self.certificate = issue(self.business, f"{one}.example.gov.cn")
        self._end(
            issue(self.business, "old.example.gov.cn"), "revoke", reason="cessationOfOperation"
        )
        self._end(issue(self.business, "spare.example.gov.cn"), "hold")
        self.person, self.own = have_one((service, app), self.business, "wang.wei")
        for name, display_name in (("li.na", "李娜"), ("zhao.lei", "赵磊")):
            applicant = make_person((service, app), name, display_name)
            applicant.done(
                "/certificates", {"kind": "person-signing/sm2-issuing"}, at="/certificates"
            )

    def _end(self, certificate: str, act: str, **fields: str) -> None:
        self.business.done(f"{certificate}/{act}", fields)

    def file(self, path: str) -> dict[str, str]:
        """Content type and body of a style sheet."""
        answer = self.nobody.http.get(path)
        return {"contentType": answer.headers["content-type"], "body": answer.text}

    def pages(self) -> dict[str, tuple[Browser, str]]:
        """Who sees each page, and where it is."""
        return {
            "login": (self.nobody, "/login"),
            "queue": (self.business, "/console/requests"),
            "certificate": (self.business, self.certificate),
            "own": (self.person, "/certificates"),
        }


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, installation(Path(directory)) as found:
        office = Office(*found)
        files = {path: office.file(path) for path in STYLES}
        with Chromium(ORIGIN) as chromium, chromium.window() as window:
            for name, (browser, path) in office.pages().items():
                for short, language in LANGUAGES.items():
                    answer = browser.http.get(path, headers={"accept-language": language})
                    headers = {"content-type": answer.headers["content-type"]}
                    window.show(path, answer.text, headers=headers, files=files)
                    window.shoot(PICTURES / f"{name}.{short}.webp", width=WIDTH, height=HEIGHT)


if __name__ == "__main__":
    main()
