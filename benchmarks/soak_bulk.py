"""Random kills (SIGKILL), spread over a whole batch with keys made by the service.

    PYTHONPATH=. .venv/bin/python benchmarks/soak_bulk.py [--kills 200] [--rows 10000]
        [--profile device-dual-signing]

Ends with an error if a row has no certificate or two, a pair is half, a key is lost or a serial
number is forgotten.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.killed_bulk import Report, kill_at_random, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--profile", default="device-dual-signing")
    arguments = parser.parse_args()
    halves = 2 if "dual" in arguments.profile else 1
    certificates = halves * arguments.rows
    with tempfile.TemporaryDirectory() as directory:
        start = time.monotonic()
        batch = prepare(Path(directory), arguments.rows, profile=arguments.profile)
        print(f"checked {arguments.rows} rows in {time.monotonic() - start:.0f} s", flush=True)
        report = kill_at_random(
            Path(directory), batch, kills=arguments.kills, signatures=certificates
        )
        print(f"{time.monotonic() - start:.0f} s")
    show(report)
    good = (
        report.half_pairs, report.forgotten, report.lost_keys, report.audit_fault,
    ) == (0, 0, 0, None)  # fmt: skip
    whole = (report.rows, report.certificates, report.requests) == (
        arguments.rows, certificates, certificates,
    )  # fmt: skip
    if not (good and whole):
        sys.exit("something was lost")


def show(report: Report) -> None:
    print(f"kills          {sum(report.kills.values())}")
    for stage, count in sorted(report.kills.items(), key=lambda one: -one[1]):
        print(f"  {stage:<28} {count}")
    print(f"rows           {report.rows}")
    print(f"certificates   {report.certificates}, for {report.requests} requests")
    print(f"half pairs     {report.half_pairs}")
    print(f"forgotten      {report.forgotten}")
    print(f"lost keys      {report.lost_keys}")
    print(f"signed again   {report.signed_twice}")
    print(f"audit log      {report.audit_fault or 'whole'}")


if __name__ == "__main__":
    main()
