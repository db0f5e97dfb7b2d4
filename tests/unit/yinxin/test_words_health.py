"""What health checks find and advise is said in Chinese on Chinese pages."""

# ruff: noqa: RUF001 - Chinese text has Chinese punctuation.

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from yinxin.console.words_health import CHECKS, findings_in, found_in_chinese
from yinxin.health import run

ROOT = Path(__file__).parents[3]
CHINESE = re.compile("[\u4e00-\u9fff]")


def sentences(path: Path) -> set[str]:
    """Return what a module of checks says, a number in place of each value."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        said: list[ast.expr] = []
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Fault"
        ):
            said = node.args[1:]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "says":
            said = [node.value]
        for one in said:
            parts = one.values if isinstance(one, ast.JoinedStr) else [one]
            if isinstance(one, ast.JoinedStr | ast.Constant):
                found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "12"
                    for part in parts))  # fmt: skip
    return found - {"1212"}


@pytest.mark.parametrize("module", ["authority", "beside", "host"])
def test_every_finding_is_said_in_chinese(module: str) -> None:
    found = sentences(ROOT / "yinxin" / "health" / f"{module}.py")
    assert len(found) >= 5
    for sentence in found:
        whole = sentence.replace("to 12 it needs ", "to review it needs 12")
        assert CHINESE.search(found_in_chinese(whole)), sentence


def test_every_check_has_a_chinese_name_and_remedy() -> None:
    for checks in run.CHECKS.values():
        for check in checks:
            found = {"check": check.name, "level": "ok", "says": "as it should be"}
            (shown,) = findings_in("zh", [{**found, "remedy": check.remedy}])
            assert CHECKS[check.name] == shown["check"]
            assert CHINESE.search(shown["remedy"]), check.remedy
            assert shown["says"] == "正常"


def test_values_are_kept_and_several_findings_stay_several() -> None:
    says = "no audit administrator has set a password; system administrators with a password: 1, "
    found = {"check": "x", "level": "warning", "says": says + "and to review it needs 2"}
    (shown,) = findings_in("zh", [{**found, "remedy": None}])
    assert (
        shown["says"] == "没有已设置口令的审计管理员；已设置口令的系统管理员：1 名；复核需要 2 名"
    )
    assert (shown["check"], shown["remedy"]) == ("x", None)
    assert findings_in("en", [found]) == [found]
    assert found_in_chinese("not looked at: ca-keys stands in the way") == "未检查：CA 密钥 未通过"
    assert found_in_chinese("something new") == "something new"
