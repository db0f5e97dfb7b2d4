"""Two hundred random kills (SIGKILL) over a batch of pairs with keys made by the service.

    PYTHONPATH=. .venv/bin/python benchmarks/soak_bulk.py [KILLS] [ROWS]

Ends with an error if a pair is half, a key is lost or a serial number is forgotten.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.integration.killed_bulk import kill_at_random, prepare


def main(kills: int, rows: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        start = time.monotonic()
        batch = prepare(Path(directory), rows)
        report = kill_at_random(Path(directory), batch, kills=kills, longest=0.6)
        print(f"{time.monotonic() - start:.0f} s")
        for name, value in asdict(report).items():
            print(f"{name:<14} {value}")
    good = (
        report.half_pairs, report.forgotten, report.lost_keys, report.audit_fault,
    ) == (0, 0, 0, None)  # fmt: skip
    whole = (report.rows, report.certificates, report.requests) == (rows, 2 * rows, 2 * rows)
    if not (good and whole):
        sys.exit("something was lost")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(*(given + [200, 4000][len(given) :]))
