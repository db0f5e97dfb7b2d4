"""What the process imports from which others are forked (`tests.forked`)."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import yinxin.cli
import yinxin.serve

for _module in pkgutil.iter_modules(yinxin.cli.__path__):
    import_module(f"yinxin.cli.{_module.name}")
