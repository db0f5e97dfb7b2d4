"""What people are refused with is said in Chinese, too."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ca import bulk
from yinxin.portal.sentences import in_language

ROOT = Path(__file__).parents[3]
SHOWN = (
    "authn/apitokens.py",
    "authn/passkeys.py",
    "authn/passwordpolicy.py",
    "authn/certlogin.py",
    "authn/tlslogin.py",
    "authn/upstream/openid.py",
    "authn/upstream/links.py",
    "authn/legacy/services.py",
    "authn/oidc/clients.py",
    "authn/oidc/logouturis.py",
    "authn/oidc/redirects.py",
    "yinxin/login_certificates.py",
    "yinxin/portal/routes_tls.py",
)
"""Modules whose refusals people read on pages."""
SAID = {"Refused", "Malformed", "Conflict", "Unauthenticated", "InvalidSignature", "NotFound"}
NOT_SHOWN = {"there is no such binding", "no identity of this source is tied to you"}
NOT_SHOWN |= {"no place is set where TLS asks for certificates"}


def sentences(path: Path) -> set[str]:
    """Return what is said with an error, a word in place of each value."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAID:
            for said in node.args[:1]:
                parts = said.values if isinstance(said, ast.JoinedStr) else [said]
                found.add("".join(getattr(one, "value", None) if isinstance(one, ast.Constant)
                    else "12" for one in parts))  # fmt: skip
    return found - NOT_SHOWN - {"12"}


@pytest.mark.parametrize("module", SHOWN)
def test_every_refusal_that_people_read_is_said_in_chinese(module: str) -> None:
    for sentence in sentences(ROOT / module):
        sample = re.sub(r"certificate is 1212", "certificate is revoked: keyCompromise", sentence)
        sample = re.sub(r"(: |not )12$", r"\1'12'", sample)
        assert re.search("[\u4e00-\u9fff]", in_language(sample, "zh")), sentence


def test_values_are_kept_and_what_is_not_known_is_shown_as_it_is() -> None:
    for state in (bulk.WAITING, bulk.UNASKED, f"{bulk.NOT_ASKED}: away"):
        assert in_language(state, "zh") != state
    assert in_language("a password has 12 to 128 characters", "zh") == "口令应有 12 至 128 个字符"
    assert in_language("a password has 12 to 128 characters", "en").startswith("a password")
    assert in_language("something new", "zh") == "something new"
