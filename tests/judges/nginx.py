"""nginx: what it staples to its own certificate, and what `ssl_ocsp` makes of its clients'."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.judges import JudgeSaysNo
from tests.judges.octets import CERTIFICATE, files, pem
from tests.ports import free_ports

_CONFIGURATION = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/log info;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}/1; proxy_temp_path {directory}/2;
  fastcgi_temp_path {directory}/3; uwsgi_temp_path {directory}/4; scgi_temp_path {directory}/5;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {directory}/chain; ssl_certificate_key {directory}/key;
    ssl_trusted_certificate {directory}/trust; ssl_client_certificate {directory}/trust;
    ssl_stapling on; ssl_stapling_verify on;
    ssl_verify_client on; ssl_verify_depth 3; ssl_ocsp leaf;
    error_page 495 =200 /refused;
    location / {{ return 200 $ssl_client_verify; }}
  }}
}}
"""
_DEADLINE_SECONDS = 15


def ask_ocsp(*path: bytes, key: str) -> str:
    """Let nginx ask the responder that the end of `path` names; give its word: good or revoked.

    Two questions that must agree: does it staple the answer to its own certificate, so that a
    client finds it in the handshake, and does it admit a client with the same certificate. `key`
    is PEM.
    """
    with (
        files(
            chain="".join(pem(CERTIFICATE, der) for der in reversed(path[1:])),
            trust="".join(pem(CERTIFICATE, der) for der in path[:-1]),
            key=key,
            log=b"",
        ) as file,
        _running(Path(file["log"]).parent) as port,
    ):
        client = ("-cert", file["chain"], "-key", file["key"])
        peer = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *client)
        stapled, admitted = _stapled(peer, Path(file["log"])), _admitted(peer)
    if stapled != admitted or stapled not in {"good", "revoked"}:
        raise JudgeSaysNo(f"nginx: staple: {stapled}; ssl_ocsp: {admitted}")
    return stapled


def _stapled(peer: tuple[str, ...], log: Path) -> str:
    # nginx asks when the first client wants a staple, who goes without.
    until = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < until:
        done = subprocess.run([*peer, "-status"], input=b"", capture_output=True, check=False)
        printed = done.stdout.decode(errors="replace")
        if "OCSP Response Status: successful" in printed and "Cert Status: good" in printed:
            return "good"
        complaints = [
            line for line in log.read_text().splitlines() if "requesting certificate status" in line
        ]
        if complaints:
            revoked = 'certificate status "revoked" in the OCSP response' in complaints[0]
            return "revoked" if revoked else complaints[0]
        time.sleep(0.05)
    raise JudgeSaysNo(f"nginx staples nothing and says nothing: {log.read_text()}")


def _admitted(peer: tuple[str, ...]) -> str:
    request = b"GET / HTTP/1.0\r\n\r\n"
    done = subprocess.run(
        [*peer, "-quiet"], input=request, capture_output=True, check=False, timeout=60
    )
    word = done.stdout.decode(errors="replace").rpartition("\r\n\r\n")[2]
    return {"SUCCESS": "good", "FAILED:certificate revoked": "revoked"}.get(word, word)


@contextmanager
def _running(directory: Path) -> Iterator[int]:
    (port,) = free_ports(1)
    configuration = directory / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(directory=directory, port=port))
    command = [
        "nginx",
        "-e",
        str(directory / "log"),
        "-p",
        str(directory),
        "-c",
        str(configuration),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + _DEADLINE_SECONDS
        while time.monotonic() < until:
            if process.poll() is not None:
                raise RuntimeError(f"nginx ended: {(directory / 'log').read_text()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                yield port
                return
        raise RuntimeError("nginx did not begin to listen")
    finally:
        process.terminate()
        process.wait(timeout=60)
