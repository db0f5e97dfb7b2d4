"""Every line of the public corpus: the good are clean, each bad one breaks exactly its rule."""

from __future__ import annotations

from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import pytest

from ca.lint import RULES, examine, examine_pair
from ca.lint_pair import PAIR_RULES

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
