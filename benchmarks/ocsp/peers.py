"""The other servers: nginx with the same answers as files, cfssl with the same, `openssl ocsp`."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.ocsp.load import Answer
from benchmarks.ocsp.questions import Asker, Question
from tests.conformance.openssl_hierarchy import OpenSSLHierarchy
from tests.ports import free_ports

_NGINX = """
worker_processes 1; daemon off; pid {directory}/pid; worker_rlimit_nofile {limit};
error_log {directory}/error.log error;
user root;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile off; keepalive_requests 100000000;
  {cache}
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096; merge_slashes off;
    default_type application/ocsp-response;
    root {directory}/files;
  }}
}}
"""

_KEPT_OPEN = "open_file_cache max={files} inactive=1h; open_file_cache_valid 1h;"
_ROOM = 2000
"""Descriptors that are left for connections."""


def most_files() -> int:
    """Return how many files nginx may keep open here: with fewer than it has, it is no peer."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] - _ROOM


def write_files(directory: Path, answers: Iterable[tuple[bytes, bytes]]) -> int:
    """Write answers by request, both DER, as files that `nginx` serves; return how many."""
    root = directory / "files/ocsp"
    shutil.rmtree(root, ignore_errors=True)  # of a run before this one
    root.mkdir(parents=True)
    count = 0
    for request, answer in answers:
        if not can_be_a_file(request):
            continue
        path = root / b64encode(request).decode()
        try:
            path.write_bytes(answer)
        except FileNotFoundError:
            path.parent.mkdir(parents=True)
            path.write_bytes(answer)
        count += 1
    return count


@contextmanager
def nginx(directory: Path, *, keep_open: bool) -> Iterator[tuple[int, int]]:
    """Serve the files that were written under ``/ocsp``; give port and process.

    `keep_open`: each once opened stays so. Where there are more than may be, to replace one by
    another costs nginx more than to open each when it is asked for.
    """
    (port,) = free_ports(1)
    configuration = directory / "nginx.conf"
    configuration.write_text(
        _NGINX.format(
            directory=directory,
            port=port,
            cache=_KEPT_OPEN.format(files=most_files()) if keep_open else "",
            limit=most_files() + _ROOM,
        )
    )
    directory.chmod(0o755)
    command = ["nginx", "-e", "stderr", "-c", str(configuration)]
    with _pinned(command, port=port) as pid:
        yield port, pid


@contextmanager
def cfssl(directory: Path, answers: list[bytes]) -> Iterator[tuple[int, int]]:
    """Serve these answers, DER, by POST only: Debian's 1.2.0 refuses every GET with 400."""
    (port,) = free_ports(1)
    path = directory / "responses"
    path.write_bytes(b"\n".join(map(b64encode, answers)))
    command = ["cfssl", "ocspserve", "-port", str(port), "-responses", str(path), "-loglevel", "5"]
    with _pinned(command, port=port) as pid:
        yield port, pid


@contextmanager
def openssl(directory: Path, count: int) -> Iterator[tuple[int, int, Asker, list[int]]]:
    """Let `openssl ocsp` answer for `count` certificates of its own EC authority, by POST."""
    (port,) = free_ports(1)
    OpenSSLHierarchy(directory, "ec")
    serials = [1 << 158 | number for number in range(count)]
    index = directory / "index.txt"
    index.write_text(
        "".join(f"V\t400101000000Z\t\t{serial:040X}\tunknown\t/CN={serial}\n" for serial in serials)
    )
    issuer = directory / "sub.cer"
    signer = ("-rsigner", directory / "ocsp.cer", "-rkey", directory / "ocsp.key")
    command = ["openssl", "ocsp", "-port", port, "-index", index, "-CA", issuer, *signer]
    der = subprocess.run(
        ["openssl", "x509", "-in", str(issuer), "-outform", "DER"], check=True, capture_output=True
    ).stdout
    # A connection without a request leaves it spinning and deaf, so it is not knocked at.
    with _pinned([str(word) for word in command], port=None) as pid:
        yield port, pid, Asker(der), serials


@contextmanager
def _pinned(command: list[str], *, port: int | None) -> Iterator[int]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(["taskset", "-c", "0", *command], stdout=quiet, stderr=quiet)
    try:
        until = time.monotonic() + 300
        while not _listening(process.pid, port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not listen")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def _listening(pid: int, port: int | None) -> bool:
    """Whether there is a listener on the port; None: whether the process has any."""
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and port is not None and int(words[1].partition(":")[2], 16) == port:
            return True
    if port is not None:
        return False
    return any("socket:" in str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir())


def can_be_a_file(request: bytes) -> bool:
    """Whether the path of a request (DER) names a file: one that ends in "/" is a directory."""
    return not b64encode(request).endswith(b"/")


def same_answers(
    asker: Asker, serials: Sequence[int], record: Iterator[Answer]
) -> Iterator[tuple[bytes, bytes]]:
    """Return what was answered: request and answer, both DER."""
    for one in record:
        yield asker.request(Question(serials[one.number])), one.body
