"""What the process imports from which others are forked (`tests.forked`)."""

from __future__ import annotations

import gc
import os
import pkgutil
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client.metrics import MetricWrapperBase

import yinxin.cli
from core import observe
from tests import cheap
from tests.integration.console import installation

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

cheap.keystores()
cheap.routes()


def _start_once() -> None:
    """Have what libraries make at their first use made once: it was half of a first start."""
    for name in [one for one in os.environ if one.startswith("YINXIN_")]:
        del os.environ[name]  # of the test that happened to be first
    with TemporaryDirectory(prefix="yinxin-once-") as directory, installation(Path(directory)):
        pass
    for metric in vars(observe).values():
        if isinstance(metric, MetricWrapperBase) and metric._labelnames:
            metric.clear()
    gc.collect()


_start_once()
