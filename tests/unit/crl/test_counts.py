"""What was counted, as metrics: by issuer, by what was said, and by where it was from."""

from __future__ import annotations

from pathlib import Path

from crl.ocsp.counts import OCSPCounts, Source
from crl.ocsp.pulse import Pulse
from crl.ocsp.tally import LENGTH, SAID, Count, place_of
from crl.status import Status


def test_answers_are_counted_by_issuer_and_the_rest_of_a_host_beside_them(tmp_path: Path) -> None:
    pulse, counts = Pulse(tmp_path / "pulse"), [0] * LENGTH
    counts[Count.TRY_LATER] = 4
    good, revoked = SAID.index(Status.GOOD), SAID.index(Status.REVOKED)
    counts[place_of(2, good, stored=True)] = 30
    counts[place_of(2, good, stored=False)] = 6
    counts[place_of(700, revoked, stored=False)] = 1
    pulse.count(1, counts)
    pulse.note_waiting(2, 3)
    pulse.note_waiting(700, 1)
    pulse.note_oldest(1_800_000_000)
    metrics = OCSPCounts()
    assert not [sample for one in metrics.collect() for sample in one.samples]
    metrics.read_from(Source(pulse, lambda: {2: "rsa-issuing"}))
    found = {
        (sample.name.removeprefix("yinxin_ocsp_"), *sample.labels.values()): sample.value
        for one in metrics.collect()
        for sample in one.samples
    }
    assert found == {
        ("answers_total", "successful"): 37,
        ("answers_total", "malformed_request"): 0,
        ("answers_total", "internal_error"): 0,
        ("answers_total", "try_later"): 4,
        ("answers_total", "unauthorized"): 0,
        ("issuer_answers_total", "rsa-issuing", "good", "store"): 30,
        ("issuer_answers_total", "rsa-issuing", "good", "signed"): 6,
        ("issuer_answers_total", "", "revoked", "signed"): 1,
        ("stored_answers_total",): 30,
        ("signing_waiting", "rsa-issuing"): 3,
        ("status_age_seconds",): float("inf"),
        ("oldest_answer_timestamp_seconds",): 1_800_000_000,
    }
    metrics.read_no_more(Pulse(tmp_path / "another"))
    assert [sample for one in metrics.collect() for sample in one.samples]
    metrics.read_no_more(pulse)
    assert not [sample for one in metrics.collect() for sample in one.samples]
