"""Documents that name tests: every test that they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_every_module_leads_to_a_test_that_exists() -> None:
    document = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w, …-]+) \| `(test_\w+)` \|$", document, re.MULTILINE)
    assert len(rows) > 85
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests/conformance").rglob("test_*.py")
    )
    missing = [test for _, test in rows if f"def {test}(" not in sources]
    assert missing == []


@pytest.mark.parametrize(
    ("area", "proofs"),
    [
        ("authority", ("`test_",)),
        ("login", ("`test_", "script", "](", "`bench")),
        ("pages", ("`test_", "`bench")),
    ],
)
def test_every_promise_leads_to_tests_that_exist(area: str, proofs: tuple[str, ...]) -> None:
    """Each row names a test; where it may, a script, a measurement or a document."""
    document = (ROOT / f"docs/conformance-{area}.md").read_text(encoding="utf-8")
    promised, _, rest = document.partition("## Not met")
    rows = [line for line in promised.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row != "| promise | shown by |"]
    assert all(any(proof in row for proof in proofs) for row in rows)
    assert "test_" not in rest, "what is not met has no test"
    assert missing(promised) == []


def missing(document: str) -> list[str]:
    """Return the tests that are named and do not exist."""
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for kind in ("conformance", "contract", "integration", "unit")
        for path in (ROOT / "tests" / kind).rglob("test_*.py")
    )
    named = set(re.findall(r"`(test_\w+)`", document))
    return sorted(name for name in named if f"def {name}(" not in sources)


def test_every_attack_leads_to_tests_that_exist() -> None:
    document = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
    rows = [line for line in document.splitlines() if line.startswith("| ")]
    assert all("`" in row for row in rows if "tests |" not in row)
    assert missing(document) == []
