"""Millions of inputs into one OCSP connection, guided by coverage. `scripts/fuzz-ocsp` runs it.

An input is the octets of a connection, of a request behind a good head (by GET or POST), or what
follows the beginning of a path that was learnt: it must be read as if it were the first. Each must
end in whole HTTP responses with valid OCSP answers, in an answer that has to be signed (which
is not done here), or in the connection being given to the general server. Nothing may raise, and
memory may not grow.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import atheris

with atheris.instrument_imports(include=["crl.ocsp"]):
    from crl.ocsp import (
        forms,
        head,
        layout,
        listener,
        path,
        plane,
        reader,
        request,
        server,
        waiting,
        wire,
    )

from cryptography.x509 import ocsp

from core.clock import SystemClock
from core.db import metadata, open_database
from tests.fakes.audit import MemoryAuditLog
from tests.unit.crl.requests import cert_id
from tests.unit.crl.requests import request as ocsp_request
from tests.unit.crl.world import World

MODULES = (forms, head, layout, listener, path, plane, reader, request, server, waiting, wire)
MOST_GROWTH_KIBIBYTES = 32 * 1024
SETTLED = 100_000
"""Inputs after which memory is measured for the first time."""


class Loop:
    """An event loop in which nothing happens."""

    def call_later(self, _seconds: float, _act: object) -> None:
        """Nothing happens later."""


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.out = b""
        self.closed = False

    def write(self, octets: bytes) -> None:
        self.out += octets

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """It is one input only."""


class Target:
    """One listener with one answer in its store."""

    def __init__(self, directory: Path) -> None:
        database = open_database(f"sqlite:///{directory}/fuzz.sqlite3")
        metadata.create_all(database.engine)
        world = World(database, "ec", clock=SystemClock(), audit=MemoryAuditLog())
        issued = world.issue("ec-issuing")
        keeper = world.make_keeper(directory)
        keeper.follower.follow()
        made = keeper.plane()
        self.asked = ocsp_request(cert_id(world.issuers["ec-issuing"], issued.serial))
        posted = head.parse_head(_post(self.asked)[: -len(self.asked)])
        assert posted is not None
        pending = made.respond(posted, self.asked)
        assert isinstance(pending, waiting.Pending)
        self.answer = asyncio.run(_made(made, pending)).partition(b"\r\n\r\n")[2]
        made.respond_later = lambda _pending, _send: None  # type: ignore[method-assign]
        self.listener = listener.OCSPListener(made, wait_seconds=30)
        self.inputs = 0
        self.settled = 0
        self.counts = {"answered": 0, "handed over": 0, "to be signed or more to come": 0}
        # By these the beginnings of paths are learnt: as Java writes them, and escaped.
        self.begins = [b64encode(self.asked)[:88], _path(self.asked[:66])]
        self.forms, self.strict = (
            forms.RequestForms(keeper.store.parties.issuers()) for _ in range(2)
        )
        for path_ in (b64encode(self.asked), _path(self.asked)):
            assert self.forms.key_in_path(path_) == made.reader.forms.key_of(self.asked) is not None
        asyncio.get_running_loop = Loop  # type: ignore[assignment]

    def seeds(self, directory: Path) -> None:
        """Write what to begin from: each kind of input, good."""
        get = _get(_path(self.asked))
        rest = b64encode(self.asked[66:])
        for number, octets in enumerate(
            (
                b"\x00" + get + get,
                b"\x00" + _post(self.asked),
                b"\x01" + self.asked,
                b"\x02" + self.asked,
                b"\x03" + rest,
                b"\x04" + rest,
            )
        ):
            (directory / str(number)).write_bytes(octets)

    def one(self, octets: bytes) -> None:
        """Play one input."""
        kind, rest = octets[:1], octets[1:]
        if kind == b"\x01":
            rest = _post(rest)
        elif kind == b"\x02":
            rest = _get(_path(rest))
        elif kind in {b"\x03", b"\x04"}:
            rest = self.begins[kind == b"\x04"] + rest
            self.compare(rest)
            rest = _get(rest)
        transport, handed = Transport(), []
        connection = server.OCSPConnection(
            self.listener, lambda _, unread: handed.append(unread), set()
        )
        connection.connection_made(transport)  # type: ignore[arg-type]
        connection.data_received(rest)
        connection.connection_lost(None)
        self.check(transport.out, bodiless=rest.count(b"HEAD "))
        if handed:
            self.counts["handed over"] += 1
        elif transport.out:
            self.counts["answered"] += 1
        else:
            self.counts["to be signed or more to come"] += 1
        self.inputs += 1
        if self.inputs % SETTLED == 0:
            self.measure()

    def compare(self, encoded: bytes) -> None:
        """A path whose beginning is known has the key that it has when it is decoded whole."""
        self.strict._spellings.clear()
        assert self.forms.key_in_path(encoded) == self.strict.key_in_path(encoded), encoded

    def check(self, out: bytes, *, bodiless: int) -> None:
        """Whole responses only, each with an OCSP answer that is one; as many without as asked."""
        while out:
            begin, separator, out = out.partition(b"\r\n\r\n")
            status = begin[:12]
            assert separator, begin
            assert status in {b"HTTP/1.1 200", b"HTTP/1.1 304"}, begin
            if status.endswith(b"304"):
                continue
            fields = dict(line.lower().split(b": ", 1) for line in begin.split(b"\r\n")[1:])
            if bodiless and (not out or out.startswith(b"HTTP/1.1 ")):
                bodiless -= 1
                continue
            size = int(fields[b"content-length"])
            body, out = out[:size], out[size:]
            assert len(body) == size, begin
            if body != self.answer:
                found = ocsp.load_der_ocsp_response(body)
                assert found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL, body.hex()
                assert found.response_status is not ocsp.OCSPResponseStatus.INTERNAL_ERROR

    def measure(self) -> None:
        """Say how far it is, and end it when memory grew."""
        size = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 10
        self.settled = self.settled or size
        print(f"{self.inputs} inputs, {size >> 10} MiB: {self.counts}", flush=True)
        assert size - self.settled < MOST_GROWTH_KIBIBYTES, "memory grows"


async def _made(made: plane.OCSPPlane, pending: waiting.Pending) -> bytes:
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    return made.respond_later(pending, future.set_result) or await future


def _post(octets: bytes) -> bytes:
    return b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(octets) + octets


def _path(octets: bytes) -> bytes:
    return quote(b64encode(octets).decode(), safe="").encode()


def _get(encoded: bytes) -> bytes:
    return b"GET /ocsp/" + encoded + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def main() -> None:
    directory = Path(tempfile.mkdtemp(prefix="fuzz-ocsp-"))
    target = Target(directory)
    corpus = directory / "corpus"
    corpus.mkdir()
    target.seeds(corpus)
    # What is kept in memory is bounded by libFuzzer's own list of inputs, which grows slowly.
    words = [sys.argv[0], f"-runs={sys.argv[1]}", "-max_len=4096", "-rss_limit_mb=1024"]
    words.append(f"-artifact_prefix={directory}/")
    atheris.Setup([*words, str(corpus)], target.one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
