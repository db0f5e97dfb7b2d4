"""What the process imports from which others are forked (`tests.forked`)."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import yinxin.cli

_LATER = (
    "alembic.command",
    "keystore.backends.software",
    "pkilint.loader",
    "pkilint.pkix.certificate",
    "yinxin.serve",
)
"""What commands and services import when they need it."""

for _module in (
    *(f"yinxin.cli.{one.name}" for one in pkgutil.iter_modules(yinxin.cli.__path__)),
    *_LATER,
):
    import_module(_module)
