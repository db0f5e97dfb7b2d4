"""What all processes of this host answered, and what waits to be signed, as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from crl.ocsp.pulse import Pulse
from crl.ocsp.tally import Answers, Count, answers_in

OTHERS: Final = ""
"""The issuer of answers that are not counted by issuer: it has more of them than `MAX_ISSUERS`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the counts of one host are."""

    pulse: Pulse
    names: Callable[[], Mapping[int, str]]
    """The issuers, by their numbers in the store."""


class OCSPCounts(Collector):
    """Reads the counts of this host when the metrics are asked for."""

    def __init__(self) -> None:
        self._source: Source | None = None

    def read_from(self, source: Source) -> None:
        """Report the counts of this host."""
        self._source = source

    def read_no_more(self, pulse: Pulse) -> None:
        """Report nothing any more of the host that this pulse is of: its store is closed."""
        if self._source is not None and self._source.pulse is pulse:
            self._source = None

    @override
    def collect(self) -> Iterable[Metric]:
        answers = CounterMetricFamily(
            "yinxin_ocsp_answers", "OCSP answers by status.", labels=["status"]
        )
        given = CounterMetricFamily(
            "yinxin_ocsp_issuer_answers",
            "Successful OCSP answers by issuer, what they say and where they were from.",
            labels=["issuer", "says", "source"],
        )
        stored = CounterMetricFamily(
            "yinxin_ocsp_stored_answers", "Successful OCSP answers given from the local store."
        )
        waiting = GaugeMetricFamily(
            "yinxin_ocsp_signing_waiting", "Answers that wait for a signature.", labels=["issuer"]
        )
        age = GaugeMetricFamily(
            "yinxin_ocsp_status_age_seconds", "Since the status log was last read to its end."
        )
        oldest = GaugeMetricFamily(
            "yinxin_ocsp_oldest_answer_timestamp_seconds",
            "When the oldest stored OCSP answer that holds was signed, as of the last round.",
        )
        source = self._source
        if source is not None:
            counts = source.pulse.counts()
            found = list(answers_in(counts))
            answers.add_metric(["successful"], sum(one.number for one in found))
            for kind in Count:
                answers.add_metric([kind.name.lower()], counts[kind])
            names = source.names()
            for one in found:
                given.add_metric(_labels(one, names), one.number)
            stored.add_metric([], sum(one.number for one in found if one.stored))
            for number, issuer in names.items():
                waiting.add_metric([issuer], source.pulse.waiting(number))
            age.add_metric([], source.pulse.age_seconds())
            oldest.add_metric([], source.pulse.oldest)
        return (answers, given, stored, waiting, age, oldest)


def _labels(answers: Answers, names: Mapping[int, str]) -> list[str]:
    source = "store" if answers.stored else "signed"
    return [names.get(answers.issuer, OTHERS), answers.status.value, source]


OCSP_COUNTS: Final = OCSPCounts()
REGISTRY.register(OCSP_COUNTS)
