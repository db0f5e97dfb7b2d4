"""``python -m yinxin`` is ``yinxin``."""

from __future__ import annotations

from yinxin.cli import main

main(prog_name="yinxin")
