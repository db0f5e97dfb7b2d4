"""Single requests over HTTPS on PostgreSQL: certificates for each second of the server's processor.

    PYTHONPATH=. .venv/bin/python benchmarks/requests_http.py [CERTIFICATES] [CALLERS]

Starts `yinxin serve` on a PostgreSQL of its own, and callers in processes of their own that keep
their connections: each submits CSRs of its own keys (SM2) under a profile that needs no approval,
and reads the certificate's serial number from the answer. Every request is authenticated, checked
against the rights of its caller, linted, audited and durable.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from ca.names import encode_name
from core import der
from keystore import sm2
from keystore.algorithms import SignatureAlgorithm
from tests import postgres
from tests.service import Service

IDLE_SECONDS = 4
WARMING = 6
"""Requests of each caller before it is measured: the first ones are linted by pkilint as well."""
_TICKS = os.sysconf("SC_CLK_TCK")


def csr(name: str, key: sm2.PrivateKey) -> str:
    info = der.sequence(
        b"\x02\x01\x00", encode_name((("CN", name),)), key.public_key, der.wrap(0xA0)
    )
    octets = der.signed_object(info, SignatureAlgorithm.SM2_SM3.identifier, key.sign(info))
    return ssl.DER_cert_to_PEM_cert(octets).replace("CERTIFICATE", "CERTIFICATE REQUEST")


def bodies(caller: int, count: int) -> list[bytes]:
    return [
        json.dumps(
            {
                "csr": csr(f"device-{caller}-{n}.example.test", sm2.PrivateKey.generate()),
                "profile": "device-at-once",
                "issuer": "sm2-issuing",
            }
        ).encode()
        for n in range(count)
    ]


def call(caller: int, count: int, service: Service, *, token: str, barrier: Any) -> None:
    """One caller: one connection."""
    given = bodies(caller, count)
    connection = http.client.HTTPSConnection(
        "localhost",
        service.https_port,
        context=ssl.create_default_context(cafile=service.root),
    )
    connection.connect()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def submit(body: bytes) -> None:
        connection.request("POST", "/api/v1/requests", body, headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status != 201 or not said["certificate"]["serial"]:
            sys.exit(f"{answer.status}: {said}")

    for body in bodies(caller + 1000, WARMING):
        submit(body)
    barrier.wait()
    barrier.wait()
    for body in given:
        submit(body)


def signature(until: Callable[[], bool]) -> float:
    """Milliseconds of processor that one SM2 signature costs here, while something else runs.

    Before and after it would be another machine: what others do on it changes by the second.
    """
    key, used, made = sm2.PrivateKey.generate(), 0.0, 0
    while made == 0 or not until():
        start = time.thread_time()
        for number in range(20):
            key.sign(b"%d" % number)
        used, made = used + time.thread_time() - start, made + 20
        time.sleep(0.2)
    return 1000 * used / made


def processor(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main(count: int, callers: int) -> None:
    with tempfile.TemporaryDirectory() as directory, postgres.server() as url:
        profiles = Path(directory) / "profiles"
        profiles.mkdir()
        device = resources.files("ca").joinpath("profile_data/device.toml").read_text()
        at_once = device.replace('"device"', '"device-at-once"', 1)
        (profiles / "at-once.toml").write_text("needs_approval = false\n" + at_once)
        service = Service(
            Path(directory) / "var",
            {
                "YINXIN_DATABASE__URL": postgres.fresh_database(url, "benchmark"),
                "YINXIN_CA__PROFILES_DIRECTORY": str(profiles),
            },
            fresh=True,
        ).start()
        token = service.token()
        barrier = multiprocessing.Barrier(callers + 1)
        each = count // callers
        made = [
            multiprocessing.Process(
                target=call,
                args=(n, each, service),
                kwargs={"token": token, "barrier": barrier},
            )
            for n in range(callers)
        ]
        for one in made:
            one.start()
        barrier.wait()
        idle = processor(service.process.pid)
        time.sleep(IDLE_SECONDS)
        before, start = processor(service.process.pid), time.monotonic()
        idle = (before - idle) / IDLE_SECONDS
        barrier.wait()
        signing = signature(lambda: not any(one.is_alive() for one in made))
        for one in made:
            one.join()
        wall = time.monotonic() - start
        used = processor(service.process.pid) - before
        service.stop()
        if any(one.exitcode for one in made):
            sys.exit("a caller was refused")
        done = each * callers
        print(f"{done} certificates, {callers} connections: {done / wall:.0f}/s by the clock,")
        print(f"{1000 * used / done:.2f} ms of the server's processor each: ", end="")
        print(f"{done / used:.0f} a second of one core")
        print(f"{1000 * used / done / signing:.1f} SM2 signatures, ", end="")
        print(f"of {signing:.2f} ms in the same seconds")
        print(f"the server asked by nobody: {1000 * idle:.0f} ms a second")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(*(given + [3000, 16][len(given) :]))
