"""A process that revokes at a steady rate, and writes down when each was done.

    python -m benchmarks.ocsp.revoker STATE SERIALS LOG RATE

SERIALS has one in hex a line. LOG: serial in hex, CLOCK_MONOTONIC ns before and after. It prints
"ready" and begins when its standard input has a line.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benchmarks.ocsp.population import ISSUER
from ca.reasons import RevocationReason
from ca.serials import from_hex
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import open_ground, open_service


def main() -> None:
    state, serials, log, rate = sys.argv[1:]
    ground = open_ground(load_settings(None), prepare_state(Path(state)))
    service = open_service(ground)
    wanted = Path(serials).read_text().split()
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    with Path(log).open("w") as lines:
        for number, text in enumerate(wanted):
            time.sleep(max(0.0, start + number / float(rate) - time.monotonic()))
            before = time.monotonic_ns()
            service.revocation.revoke(
                ISSUER, from_hex(text), RevocationReason.KEY_COMPROMISE, actor="benchmark"
            )
            lines.write(f"{text.lstrip('0')} {before} {time.monotonic_ns()}\n")
    service.close()


if __name__ == "__main__":
    main()
