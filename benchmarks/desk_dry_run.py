"""The dry run of a long table at a registration authority, through its pages.

    PYTHONPATH=. .venv/bin/python benchmarks/desk_dry_run.py [ROWS] [--keyless]

An authority and a registration authority that brings its acts, as processes of their own on SQLite.
The table goes up by the page's form, with CSRs of fresh SM2 keys, or `--keyless`; every row is
checked there, then by the authority. Prints when half and all of it was through, what a look at the
progress cost meanwhile, and of both processes the processor time and how much the memory grew. Ends
with an error unless every row is valid.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import requests

from benchmarks.issuing import csr
from keystore import sm2
from tests.conformance.people import PASSWORD, found
from tests.hosts import Caller
from tests.integration.test_registrar_apart import World, start_branch
from tests.service import Service

WAIT_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used so far."""

    seconds: float
    most_mebibytes: float

    @classmethod
    def by(cls, service: Service) -> Used:
        fields = Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        status = Path(f"/proc/{service.pid}/status").read_text()
        peak = int(found(r"VmHWM:\s+(\d+)", status))
        return cls(ticks / os.sysconf("SC_CLK_TCK"), peak / 1024)


class Operator:
    """An operator with a browser, without script."""

    def __init__(self, host: Service) -> None:
        self._url = host.url
        self._browser = requests.Session()
        self._browser.verify, self._browser.trust_env = str(host.root), False
        link = found(r"business +https://\S+?(/setup/\S+)", host.log.read_text())
        self.send(link, link, {"password": PASSWORD, "repeat": PASSWORD})
        self.send("/login", "/login", {"name": "business", "password": PASSWORD})

    def send(self, path: str, at: str, fields: dict[str, str], **how: Any) -> requests.Response:
        csrf = found(r'name="csrf" value="([^"]+)"', self.open(at))
        return self._browser.post(f"{self._url}{path}", {"csrf": csrf, **fields}, **how)

    def open(self, path: str) -> str:
        return self._browser.get(f"{self._url}{path}").text

    def close(self) -> None:
        self._browser.close()


def table(rows: int, *, keyless: bool) -> bytes:
    names = [f"terminal-{number}.example.gov.cn" for number in range(rows)]
    if keyless:
        return ("CN,dns\n" + "".join(f"{name},{name}\n" for name in names)).encode()
    lines = [base64.b64encode(csr(name, sm2.PrivateKey.generate())).decode() for name in names]
    return ("csr\n" + "\n".join(lines) + "\n").encode()


def watch(operator: Operator, path: str, rows: int, began: float) -> list[float]:
    """Look each half second until all is through; print when half was; return each look's time."""
    looks: list[float] = []
    half = False
    while time.monotonic() - began < WAIT_SECONDS:
        start = time.monotonic()
        page = operator.open(f"{path}?refresh=no")
        looks.append(time.monotonic() - start)
        if not half and int(found(rf"(\d+) / {rows}", page)) >= rows // 2:
            half = True
            print(f"half of it through after {time.monotonic() - began:.1f} s", flush=True)
        if "待提交" in page:
            return looks
        if re.search(r'state=bad"', page):
            sys.exit(f"rows are bad: {page[-3000:]}")
        time.sleep(0.5)
    sys.exit(f"not through within {WAIT_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=10_000)
    parser.add_argument("--keyless", action="store_true")
    asked = parser.parse_args()
    octets = table(asked.rows, keyless=asked.keyless)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        authority = Service(work / "ca", fresh=True).start()
        world = World(authority, Caller(authority, "business"), work, {})
        branch = start_branch(world, "push", pulled=False)
        operator = Operator(branch.host)
        try:
            while "您还没有" in operator.open("/console"):
                time.sleep(0.2)
            hosts = {"registration authority": branch.host, "certificate authority": authority}
            before = {title: Used.by(host) for title, host in hosts.items()}
            began = time.monotonic()
            fields = {"profile": "device", "issuer": "sm2-issuing"}
            made = operator.send(
                "/console/bulk", "/console/bulk", fields, files={"file": ("a.csv", octets)}
            )
            if made.status_code != 200:
                sys.exit(f"the table was refused: {made.text}")
            print(f"{asked.rows} rows, {len(octets) / 2**20:.1f} MiB, uploaded in "
                  f"{time.monotonic() - began:.1f} s", flush=True)  # fmt: skip
            looks = watch(operator, made.url.removeprefix(branch.host.url), asked.rows, began)
            spent = time.monotonic() - began
            print(f"all of it through after {spent:.1f} s: {asked.rows / spent:.0f} rows a second")
            print(f"{len(looks)} looks at the progress: median {median(looks) * 1000:.0f} ms, "
                  f"longest {max(looks) * 1000:.0f} ms")  # fmt: skip
            for title, host in hosts.items():
                used, had = Used.by(host), before[title]
                print(f"{title}: {(used.seconds - had.seconds) / asked.rows * 1000:.2f} ms of a "
                      f"processor a row, {had.most_mebibytes:.0f} MiB before, at most "
                      f"{used.most_mebibytes:.0f}")  # fmt: skip
        finally:
            operator.close()
            branch.host.end()
            authority.end()


if __name__ == "__main__":
    main()
