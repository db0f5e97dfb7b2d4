"""The reference of all settings, made from the models themselves (docs/configuration.md)."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
import types
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from yinxin.settings import DERIVED, Settings

_HEAD: Final = """\
# Configuration

One TOML file (`--config`, or `yinxin.toml` in the state directory), and above it the environment:
`YINXIN_SERVER__HTTPS_PORT=9443` sets `server.https_port`. Unknown keys are refused. `yinxin config`
prints what is in force. This page is made by `yinxin config --describe`.

Not settings, and read from the environment only: `YINXIN_PASSPHRASE` (opens the software keystore),
`YINXIN_PKCS11_PIN` (opens the token), `YINXIN_STATE`, `YINXIN_CONFIG`, `YINXIN_SERVER_URL`,
`YINXIN_TOKEN_FILE` (options of the command line).
"""


def describe_settings() -> str:
    """Return the reference as Markdown."""
    parts = [_HEAD]
    for name, info in Settings.model_fields.items():
        _describe(parts, name, _model_of(info.annotation))
    return "\n".join(parts)


def _describe(parts: list[str], path: str, model: type[BaseModel]) -> None:
    rows, nested = [], []
    for name, info in model.model_fields.items():
        child = _model_or_none(info.annotation)
        if child is not None:
            nested.append((f"{path}.{name}", child))
            continue
        cells = (_kind(info), _default(path, name, info), _meaning(model, name, info))
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    parts.append(f"## [{path}]\n")
    parts.append(
        inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0].replace("\n", " ") + "\n"
    )
    if rows:
        parts += ["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""]
    for child_path, child in nested:
        _describe(parts, child_path, child)


def _model_of(annotation: Any) -> type[BaseModel]:
    found = _model_or_none(annotation)
    if found is None:
        raise TypeError(f"{annotation} is not a section of settings")
    return found


def _model_or_none(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) in (Union, types.UnionType):
        choices = [_model_or_none(choice) for choice in get_args(annotation)]
        return next((choice for choice in choices if choice is not None), None)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _kind(info: FieldInfo) -> str:
    annotation = info.annotation
    text = getattr(annotation, "__name__", None) if inspect.isclass(annotation) else str(annotation)
    cleaned = (
        str(text).replace("pathlib._local.", "").replace("pathlib.", "").replace("typing.", "")
    )
    limits = [
        f"{word} {getattr(rule, attribute)}"
        for rule in info.metadata
        for attribute, word in (("ge", "from"), ("le", "to"))
        if getattr(rule, attribute, None) is not None
    ]
    return f"`{cleaned}`".replace("|", "\\|") + (f" {' '.join(limits)}" if limits else "")


def _default(path: str, name: str, info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "from `[server]`" if (path, name) in DERIVED else "required"
    value = info.default
    return "none" if value is None else f"`{value}`".replace("|", "\\|")


def _meaning(model: type[BaseModel], name: str, info: FieldInfo) -> str:
    text = info.description or _docstrings(model).get(name, "")
    return " ".join(text.split()).replace("|", "\\|")


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return what stands under each field of the class in its source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    found = {}
    for statement, after in itertools.pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[statement.target.id] = after.value.value
    return found
