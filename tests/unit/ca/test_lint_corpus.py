"""Every line of the public corpus: the good are clean, each bad one breaks exactly its rule."""

from __future__ import annotations

from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.x509.oid import ExtensionOID

from ca.lint import RULES, examine, examine_pair
from ca.lint_gm import IDENTITIES
from ca.lint_pair import PAIR_RULES
from ca.lint_subject import Subject, read_certificate
from core.errors import Malformed

HERE = Path(__file__).parents[2] / "golden" / "lint"
TABLE = [
    tuple(cell.strip() for cell in line.strip("| \n").split("|"))
    for line in (HERE / "MANIFEST.md").read_text(encoding="utf-8").splitlines()
    if line.startswith(("| good/", "| bad/", "| pairs/"))
]
OURS = {rule.id for rule in RULES}


def der(path: str) -> bytes:
    return PEM_cert_to_DER_cert((HERE / path).read_text(encoding="ascii"))


def findings(path: str, issuer: str) -> tuple[set[str], set[str]]:
    found = examine(der(path), issuer=None if issuer == "itself" else der(issuer))
    ours = {one.rule for one in found if one.rule in OURS}
    return ours, {one.rule for one in found} - ours


def words(cell: str) -> set[str]:
    return set() if cell == "-" else set(cell.split())


@pytest.mark.parametrize(("path", "issuer", "what", "pkilint"), TABLE, ids=[t[0] for t in TABLE])
def test_a_certificate_of_the_corpus(path: str, issuer: str, what: str, pkilint: str) -> None:
    ours, others = findings(path, issuer)
    folder, _, file = path.partition("/")
    assert ours == ({file.removesuffix(".pem")} if folder == "bad" else set())
    assert others == words(pkilint)
    if folder == "good":
        assert not others


@pytest.mark.parametrize("rule", [rule.id for rule in PAIR_RULES])
def test_a_pair_of_the_corpus(rule: str) -> None:
    found = examine_pair(der("good/sm2-signing.pem"), der(f"pairs/{rule}.pem"))
    assert [one.rule for one in found] == [rule]


def test_the_good_pair_is_one() -> None:
    assert not examine_pair(der("good/sm2-signing.pem"), der("good/sm2-encryption.pem"))


def test_every_rule_has_a_bad_certificate_and_every_file_a_line() -> None:
    listed = {path for path, *_ in TABLE}
    assert listed == {str(p.relative_to(HERE)) for p in HERE.rglob("*.pem")}
    assert {f"bad/{rule.id}.pem" for rule in RULES} == {p for p in listed if p.startswith("bad/")}
    assert {f"pairs/{rule.id}.pem" for rule in PAIR_RULES} <= listed
    assert len(listed) >= 50


def test_rule_ids_are_unique() -> None:
    ids = [rule.id for rule in (*RULES, *PAIR_RULES)]
    assert len(ids) == len(set(ids))


class OnlyShape:
    """A certificate of which nothing can be seen but what is compared octet for octet in its shape.

    Everything else raises `AttributeError`: a rule that looks there is not decided by the shape.
    """

    SAME = (
        "self_signed", "algorithm", "issuer", "parent", "key_algorithm", "authority", "key_usage",
        "basic_constraints", "extended_key_usage", "authority_key_identifier", "is_critical",
    )  # fmt: skip
    HIDDEN = (
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        *IDENTITIES,
    )

    def __init__(self, whole: Subject) -> None:
        for name in self.SAME:
            setattr(self, name, getattr(whole, name))
        extensions = [
            SimpleNamespace(oid=one.oid, critical=one.critical) if one.oid in self.HIDDEN else one
            for one in whole.fields.extensions or ()
        ]
        self.fields = SimpleNamespace(
            version=whole.fields.version, signature=whole.fields.signature, extensions=extensions
        )
        self.extensions = {one.oid: one for one in reversed(extensions)}
        self.rdns = [
            [SimpleNamespace(oid=text.oid, tag=text.tag) for text in rdn] for rdn in whole.rdns
        ]
        names = whole.alternative_names
        self.alternative_names = None if names is None else ("something",) if names else ()


def test_what_the_shape_decides_is_decided_by_the_shape() -> None:
    judged = 0
    for path, issuer, *_ in TABLE:
        try:
            whole = read_certificate(der(path), issuer=None if issuer == "itself" else der(issuer))
        except Malformed:
            continue
        if whole.self_signed:
            continue
        seen: Any = OnlyShape(whole)
        for rule in RULES:
            if rule.of_shape:
                assert rule.holds(seen) == rule.holds(whole), (rule.id, path)
                judged += not rule.holds(whole)
    assert judged > 20  # bad ones among them
