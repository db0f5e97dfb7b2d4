"""A simple load on one OCSP responder: many connections, one question."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import uvloop

from core.errors import Unavailable
from yinxin.cli.responder import TIMEOUT_SECONDS, Address, message

_LENGTH: Final = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,6})\r", re.IGNORECASE)
_SUCCESSFUL: Final = b"\x0a\x01\x00"
"""OCSPResponseStatus, in the first octets of an answer."""


@dataclass(slots=True)
class Told:
    """What was found."""

    seconds: float = 0.0
    bad: int = 0
    """Connections that failed, and answers that are not HTTP 200 with a successful OCSP answer."""
    micros: list[int] = field(default_factory=list)

    def lines(self) -> Sequence[str]:
        """Say it to people."""
        ordered = sorted(self.micros) or [0]

        def part(share: float) -> str:
            return f"{ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000:.2f}"

        rate = len(self.micros) / self.seconds if self.seconds else 0.0
        return (
            f"requests   {len(self.micros)} in {self.seconds:.1f} s, {rate:.0f} a second",
            f"latency    p50 {part(0.5)} ms, p99 {part(0.99)} ms, longest {part(1)} ms",
            f"failed     {self.bad}",
        )


def run_bench(
    address: Address,
    request: bytes,
    *,
    post: bool,
    close: bool,
    seconds: float,
    connections: int,
) -> Told:
    """Ask for `seconds`, each of `connections` again as soon as it has an answer."""
    octets = message(address, request, post=post, close=close)
    told = Told()

    async def all_of_them() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = began + seconds
        callers = (
            _ask_until(address, octets, until, told, close=close) for _ in range(connections)
        )
        await asyncio.gather(*callers)
        told.seconds = loop.time() - began

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_of_them())
    if not told.micros:
        raise Unavailable(f"{address.named} answered nothing")
    return told


async def _ask_until(
    address: Address, octets: bytes, until: float, told: Told, *, close: bool
) -> None:
    loop = asyncio.get_running_loop()
    tls = ssl.create_default_context() if address.tls else None
    while loop.time() < until:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                opened = await asyncio.open_connection(address.host, address.port, ssl=tls)
        except (OSError, TimeoutError):
            told.bad += 1
            await asyncio.sleep(0.1)
            continue
        reader, writer = opened
        try:
            while loop.time() < until:
                began = loop.time()
                writer.write(octets)
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    good = await _read_answer(reader)
                told.micros.append(int((loop.time() - began) * 1e6))
                told.bad += not good
                if close:
                    break
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            told.bad += 1
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader) -> bool:
    """Whether it was HTTP 200 with a successful answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else await reader.read()
    return head[8:12] == b" 200" and _SUCCESSFUL in body[:8]
