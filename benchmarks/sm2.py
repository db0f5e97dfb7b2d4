"""SM2 per second through our binding, next to `openssl speed` in the same run.

    python benchmarks/sm2.py [seconds]

One thread each. Rounds alternate, so that a machine that others use slows both; the ratio compares
the best round of each. Ends with 1 when the binding is below 0.9 of what the library itself does.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable

from keystore import libcrypto, sm2

ROUNDS = 5
GOAL = 0.9


def main() -> int:
    """Measure, print, judge."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    key = sm2.PrivateKey.generate()
    message = b"x" * 20  # what `openssl speed` signs
    signature = key.sign(message)
    ours: dict[str, list[float]] = {"sign": [], "verify": []}
    theirs: dict[str, list[float]] = {"sign": [], "verify": []}
    for _ in range(ROUNDS):
        ours["sign"].append(_rate(lambda: key.sign(message), seconds))
        ours["verify"].append(
            _rate(lambda: sm2.verify(key.public_key, message, signature), seconds)
        )
        for name, rate in zip(("sign", "verify"), _openssl_speed(seconds), strict=True):
            theirs[name].append(rate)
    print(f"binding on {libcrypto.version()}; {ROUNDS} rounds of {seconds} s, best of each")
    ratios = []
    for name in ("sign", "verify"):
        ratios.append(max(ours[name]) / max(theirs[name]))
        print(
            f"{name:7} binding {max(ours[name]):8.1f}/s   openssl speed "
            f"{max(theirs[name]):8.1f}/s   ratio {ratios[-1]:.2f}"
        )
    return 0 if min(ratios) >= GOAL else 1


def _rate(call: Callable[[], object], seconds: float) -> float:
    # Processor time, like `openssl speed`: what others do on the machine is not our speed.
    call()
    count, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < seconds:
        for _ in range(50):
            call()
        count += 50
    return count / elapsed


def _openssl_speed(seconds: int) -> tuple[float, float]:
    done = subprocess.run(
        ["openssl", "speed", "-seconds", str(seconds), "sm2"],
        check=True,
        capture_output=True,
        text=True,
    )
    # The last line: bits, then seconds for one signature and one verification, then rates.
    numbers = re.findall(r"[\d.]+", done.stdout.strip().splitlines()[-1].partition(")")[2])
    return float(numbers[-2]), float(numbers[-1])


if __name__ == "__main__":
    sys.exit(main())
