"""kill -9 at random moments of a batch of pairs: nothing half, nothing lost, nothing forgotten.

Two hundred kills: `benchmarks/soak_bulk.py`, with its figure in docs/performance.md.
"""

from __future__ import annotations

from pathlib import Path

from tests.integration.killed_bulk import kill_at_random, prepare


def test_a_batch_of_pairs_survives_random_kills(tmp_path: Path) -> None:
    rows = 40
    batch = prepare(tmp_path, rows)
    report = kill_at_random(tmp_path, batch, kills=6, signatures=2 * rows)
    assert sum(report.kills.values()) >= 3, "the workers were too quick to be killed"
    assert (report.rows, report.certificates, report.requests) == (rows, 2 * rows, 2 * rows)
    assert (report.half_pairs, report.forgotten, report.lost_keys) == (0, 0, 0)
    assert report.audit_fault is None
