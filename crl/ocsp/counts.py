"""What all processes of this host answered, as metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from crl.ocsp.pulse import Count, Pulse

_GIVEN: Final = (Count.STORED, Count.SIGNED)


class OCSPCounts(Collector):
    """Reads the counts of a pulse when the metrics are asked for."""

    def __init__(self) -> None:
        self._pulse: Pulse | None = None

    def read_from(self, pulse: Pulse) -> None:
        """Report the counts of this host."""
        self._pulse = pulse

    @override
    def collect(self) -> Iterable[Metric]:
        answers = CounterMetricFamily(
            "yinxin_ocsp_answers", "OCSP answers by status.", labels=["status"]
        )
        stored = CounterMetricFamily(
            "yinxin_ocsp_stored_answers", "Successful OCSP answers given from the local store."
        )
        age = GaugeMetricFamily(
            "yinxin_ocsp_status_age_seconds", "Since the status log was last read to its end."
        )
        if self._pulse is not None:
            counts = self._pulse.counts()
            answers.add_metric(["successful"], sum(counts[one] for one in _GIVEN))
            for kind in Count:
                if kind not in _GIVEN:
                    answers.add_metric([kind.name.lower()], counts[kind])
            stored.add_metric([], counts[Count.STORED])
            age.add_metric([], self._pulse.age_seconds())
        return (answers, stored, age)


OCSP_COUNTS: Final = OCSPCounts()
REGISTRY.register(OCSP_COUNTS)
