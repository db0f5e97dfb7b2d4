"""docs/conformance.md names a test for every module, and every test it names is there."""

from __future__ import annotations

import re
from pathlib import Path

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
