"""A batch of a thousand through the pages, in Chromium, as an operator does it.

    PYTHONPATH=. .venv/bin/python benchmarks/bulk_pages.py [ROWS]

A service of its own; without script: upload, dry run, decision, issuing with keys made by the
service, package. Prints how long each step took and what a look at the progress costs; ends with
an error unless every row has its certificate.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

from tests.conformance.people import (
    choose_password,
    found,
    make_recipient,
    sign_in,
    start_batch,
)
from tests.hosts import Caller
from tests.judges.window import Chromium, Window
from tests.service import Service

DOMAIN = ".example.gov.cn"


def watch(person: Window, text: str) -> list[float]:
    """Look again each half second until the page says `text`; return how long each look took."""
    looks = []
    while text not in person.text():
        time.sleep(0.5)
        began = time.monotonic()
        person.open(person.path())
        looks.append(time.monotonic() - began)
    return looks or [0.0]


def walk(service: Service, person: Window, directory: Path, rows: int) -> None:
    link = found(r"business +https://\S+?(/setup/\S+)", service.log.read_text())
    choose_password(person, link)
    sign_in(person, "business")
    began = time.monotonic()
    start_batch(person, directory, [f"{number}{DOMAIN}" for number in range(rows)])
    looks = watch(person, "待提交")
    checked = time.monotonic()
    print(f"{rows} rows uploaded and checked in {checked - began:.1f} s", flush=True)
    person.fill(recipient=make_recipient(directory))
    person.press("提交签发")
    person.press("审核通过")
    looks += watch(person, "已完成")
    print(f"approved and issued in {time.monotonic() - checked:.1f} s")
    print(f"{len(looks)} looks at the progress, median {median(looks) * 1000:.0f} ms in Chromium")
    if f"{rows} / {rows}" not in person.text() or "下载结果包" not in person.text():
        sys.exit(f"not every row was issued: {person.text()}")


def count(service: Service) -> int:
    """How many certificates of gateways the inventory has; the host's own is none."""
    call = Caller(service, "business")
    serials: set[str] = set()
    with closing(call.connect()) as connection:
        cursor = ""
        while True:
            path = f"/certificates?profile=device&limit=500{cursor}"
            page = call.over(connection, "GET", path)
            serials |= {one["serial"] for one in page["items"] if DOMAIN in str(one["subject"])}
            if page["next_cursor"] is None:
                return len(serials)
            cursor = f"&cursor={page['next_cursor']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        service = Service(Path(name) / "var", fresh=True).start()
        try:
            with Chromium(service.url) as browser, browser.window(script=False) as person:
                walk(service, person, Path(name), rows)
            issued = count(service)
        finally:
            service.end()
    print(f"{issued} certificates in the inventory")
    if issued != rows:
        sys.exit("certificates are missing")


if __name__ == "__main__":
    main()
