"""OCSP over HTTP beside nginx that serves the same octets as static files, in the same run.

    apt-get install nginx wrk
    PYTHONPATH=. .venv/bin/python benchmarks/ocsp.py [certificates] [seconds]

Starts `yinxin serve` in its default form on one processor and the load tool on the other, asks
about every certificate by GET, by keep-alive and by one connection for each request, then the same
of nginx (one worker, open_file_cache). Prints a Markdown table; the processor time a request is
of the server alone.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from benchmarks.main_job import issue, ocsp_request
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from tests.service import Service, free_ports
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import open_ground, open_service

ISSUER = "rsa-issuing"
CONNECTIONS = 64
WARM_UP_SECONDS = 2

WRK = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local i = 0
request = function()
  i = i %% #paths + 1
  return wrk.format("GET", paths[i], {["Host"] = "pki.example.cn"%s})
end
done = function(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read
  io.write(string.format("%%d %%d %%d %%d %%d\\n", summary.requests, summary.duration, bad,
    latency:percentile(50), latency:percentile(99)))
end
"""

NGINX = """
worker_processes 1; daemon off; pid %(directory)s/pid;
error_log %(directory)s/error.log error;
user root;
events { worker_connections 4096; }
http {
  access_log off; sendfile off; keepalive_requests 100000000;
  open_file_cache max=100000 inactive=1h; open_file_cache_valid 1h;
  server {
    listen 127.0.0.1:%(port)d reuseport backlog=4096; merge_slashes off;
    default_type application/ocsp-response;
    root %(directory)s/files;
  }
}
"""


def make_certificates(state: Path, count: int) -> list[bytes]:
    """Issue `count` certificates under the state of a service that does not run yet."""
    ground = open_ground(load_settings(None), prepare_state(state))
    service = open_service(ground)
    info = service.keystore.generate(
        keyref.make("software", object="benchmark"), KeyAlgorithm.EC_P256
    )
    issued = [issue(service, ISSUER, info.public_key) for _ in range(count)]
    asked = [ocsp_request(service, ISSUER, certificate, None) for certificate in issued]
    service.close()
    # A name that ends in "/" is a directory to nginx: 1 of 64 requests cannot be a static file.
    return [octets for octets in asked if not b64encode(octets).endswith(b"/")]


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mebibytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() >> 20


def load(url: str, paths: Path, seconds: int, *, close: bool, pid: int) -> dict[str, float]:
    """Run wrk on the second processor, once to warm up and once to count."""
    script = paths.with_suffix(".lua")
    script.write_text(WRK % (paths, ', ["Connection"] = "close"' if close else ""))
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", "-s", str(script)]
    subprocess.run([*command, f"-d{WARM_UP_SECONDS}s", url], check=True, capture_output=True)
    before = processor_seconds(pid)
    done = subprocess.run(
        [*command, f"-d{seconds}s", url], check=True, capture_output=True, text=True
    )
    spent = processor_seconds(pid) - before
    requests, micros, bad, p50, p99 = map(int, done.stdout.splitlines()[-1].split())
    # Requests go on for a moment before and after wrk's own count, so this is a little too high.
    return {
        "rate": requests / micros * 1e6,
        "bad": bad,
        "p50": p50 / 1000,
        "p99": p99 / 1000,
        "cpu": spent / requests * 1e6,
    }


def worker_of(pid: int) -> int:
    """Return the worker of this nginx."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not children.read_text().split():
        time.sleep(0.05)
    return int(children.read_text().split()[0])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        asked = make_certificates(directory / "var", count)
        paths = ["/ocsp/" + quote(b64encode(one).decode(), safe="") for one in asked]
        (directory / "paths").write_text("\n".join(paths))
        service = Service(directory / "var").start()
        os.sched_setaffinity(service.process.pid, {0})
        for task in Path(f"/proc/{service.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {0})
        # wrk and nginx decode the path alike, so nginx finds a file by what stands unescaped.
        for octets, path in zip(asked, paths, strict=True):
            url = service.revocation_url + path
            with urlopen(url, timeout=30) as answer:  # noqa: S310 - our own address
                file = directory / "files/ocsp" / b64encode(octets).decode()
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(answer.read())
        (port,) = free_ports(1)
        config = directory / "nginx.conf"
        config.write_text(NGINX % {"directory": directory, "port": port})
        directory.chmod(0o755)
        nginx = subprocess.Popen(["taskset", "-c", "0", "nginx", "-e", "stderr", "-c", str(config)])
        worker = worker_of(nginx.pid)
        print(f"{count} certificates, {CONNECTIONS} connections, {seconds} s each\n")
        print("| what | requests/s | p50 ms | p99 ms | processor µs/request | not 200 |")
        print("|---|---|---|---|---|---|")
        figures: dict[tuple[str, bool], dict[str, float]] = {}
        for close in (False, True):
            for who, url, pid in (
                ("nginx", f"http://127.0.0.1:{port}", worker),
                ("yinxin", service.revocation_url, service.process.pid),
            ):
                found = load(url, directory / "paths", seconds, close=close, pid=pid)
                figures[who, close] = found
                what = "a connection each" if close else "keep-alive"
                print(
                    f"| {who}, {what} | {found['rate']:.0f} | {found['p50']:.2f} | "
                    f"{found['p99']:.2f} | {found['cpu']:.1f} | {found['bad']:.0f} |"
                )
        for close in (False, True):
            ours, theirs = figures["yinxin", close], figures["nginx", close]
            what = "a connection each" if close else "keep-alive"
            print(
                f"\n{what}: {ours['rate'] / theirs['rate']:.2f} x the rate of nginx, "
                f"{ours['cpu'] / theirs['cpu']:.2f} x its processor time"
            )
        print(f"\nresident: {resident_mebibytes(service.process.pid)} MiB")
        nginx.terminate()
        service.stop()


if __name__ == "__main__":
    main()
