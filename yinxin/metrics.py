"""The metrics of all processes of a service together, whichever of them is asked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY as OWN
from prometheus_client import CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MultiProcessValue

from core.errors import Misconfigured
from core.observe import WITHOUT_LABELS
from crl.ocsp.counts import OCSP_COUNTS

METRICS_DIRECTORY: Final = "metrics"
_OCTETS: Final = 1 << 20
"""Of a file: some 7,000 numbers."""
_shared: CollectorRegistry | None = None


def begin_sharing(directory: Path) -> None:
    """Make the directory anew: counters begin with the service. For the parent."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)


def share_metrics(directory: Path, place: str) -> None:
    """Count in the files of this place, and report what is in those of all.

    What takes the place of a process that was killed counts on from where that one was. To be
    called before anything is counted. Raises `Misconfigured` when the disk has no room.
    """
    global _shared  # noqa: PLW0603 - as the library's own registry is
    for kind in ("counter", "gauge_mostrecent"):
        _reserve(directory / f"{kind}_{place}.db")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)  # noqa: TID251 - the library's argument
    values.ValueClass = MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]
    for metric in WITHOUT_LABELS:
        # The others make their values when they are given labels.
        metric._metric_init()  # noqa: SLF001
    _shared = CollectorRegistry()
    MultiProcessCollector(_shared, str(directory))  # type: ignore[no-untyped-call]
    _shared.register(OCSP_COUNTS)


def _reserve(path: Path) -> None:
    """Have its octets on the disk: writing into a page that finds no room ends the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _OCTETS)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be made: {error.strerror}") from error
    finally:
        os.close(descriptor)


def exposition() -> bytes:
    """Return the metrics in Prometheus' text format."""
    return generate_latest(_registry())


def value(name: str, **labels: str) -> float:
    """Return the sum of the samples of this name that have these labels."""
    samples = (sample for metric in _registry().collect() for sample in metric.samples)
    return sum(
        sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def _registry() -> CollectorRegistry:
    return OWN if _shared is None else _shared
