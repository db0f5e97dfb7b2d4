"""Between the processes that answer and the one that signs: frames on a Unix socket.

A frame is a number, a kind, a length and octets. Both ends belong to one installation, and the
socket is in its state directory, which nobody else can enter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Coroutine
from pathlib import Path
from struct import Struct
from typing import Any, Final

from ca.packedstatus import SERIAL_OCTETS
from core.errors import Malformed, NotFound, TooLarge, TrustError, Unavailable
from crl.ocsp.request import MAX_REQUEST_OCTETS, OCSPRequest
from crl.ocsp.signing import Done, Made, Peeked, Signing

log = logging.getLogger(__name__)

_FRAME: Final = Struct(">IBI")
_MADE: Final = Struct(">HI")
"""Where the answer is counted, and the length of its block."""
_MAKE, _REFRESH, _PEEK = 1, 2, 3
_ANSWER, _REFUSED, _PEEKED = 1, 2, 3
_MAX_OCTETS: Final = 1 << 20
_ANSWER_SECONDS: Final = 6.0
_ERRORS: Final[tuple[type[TrustError], ...]] = (Malformed, TooLarge, NotFound, Unavailable)
_INTERNAL: Final = len(_ERRORS)
_OTHER: Final = "the process that signs answered something else"

Came = Made | frozenset[int]
"""What comes of a frame: an answer, or the serial numbers that the store may not have."""


async def serve_signing(signing: Signing, path: Path) -> asyncio.Server:
    """Make answers for the other processes of this host, until the server is closed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                number, kind, octets = await _read(reader, MAX_REQUEST_OCTETS)
                reply = _Reply(number, writer)
                if kind == _REFRESH:
                    with contextlib.suppress(TrustError):
                        signing.refresh(octets)
                elif kind == _PEEK:
                    signing.peek(reply.peeked)
                else:
                    signing.make(octets, reply.made)
        writer.close()

    # It takes the place of what a process that was killed left behind.
    return await asyncio.start_unix_server(answer, path)


class _Reply:
    """Sends what came of one frame to who waits for it, if they are still there."""

    __slots__ = ("_number", "_writer")

    def __init__(self, number: int, writer: asyncio.StreamWriter) -> None:
        self._number = number
        self._writer = writer

    def made(self, made: Made | Exception) -> None:
        if isinstance(made, Exception):
            self._refuse(made)
            return
        block = made.block or b""
        self._write(_ANSWER, _MADE.pack(made.count, len(block)) + block + made.octets)

    def peeked(self, found: Collection[int] | Exception) -> None:
        if isinstance(found, Exception):
            self._refuse(found)
        else:
            octets = b"".join(one.to_bytes(SERIAL_OCTETS, "big") for one in found)
            self._write(_PEEKED, octets)

    def _refuse(self, error: Exception) -> None:
        code, words = _INTERNAL, ""
        if isinstance(error, TrustError):
            known = (at for at, kind in enumerate(_ERRORS) if isinstance(error, kind))
            code, words = next(known, _INTERNAL), str(error)
        else:  # recorded; the other end says internalError
            log.error("unexpected error while an OCSP answer was made", exc_info=error)
        self._write(_REFUSED, bytes((code,)) + words.encode())

    def _write(self, kind: int, octets: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(_frame(self._number, kind, octets))


class RemoteSigning:
    """`Signing` by the process that has the keys. To be used from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Came]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def make(self, octets: bytes, done: Done, *, request: OCSPRequest | None = None) -> None:
        """Have an answer made; it is `Unavailable` if the other end is away."""
        del request  # the other end decodes what it answers

        async def ask() -> None:
            try:
                made = await self._ask(_MAKE, octets)
            except Exception as error:  # noqa: BLE001 - given to whoever asked
                done(error)
            else:
                done(made if isinstance(made, Made) else RuntimeError(_OTHER))

        self._start(ask())

    def peek(self, done: Peeked) -> None:
        """Have the log read; it is `Unavailable` if the other end is away."""

        async def ask() -> None:
            try:
                found = await self._ask(_PEEK, b"")
            except Exception as error:  # noqa: BLE001 - given to whoever asked
                done(error)
            else:
                done(found if isinstance(found, frozenset) else RuntimeError(_OTHER))

        self._start(ask())

    def _start(self, asking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(asking)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, kind: int, octets: bytes) -> Came:
        """Send a frame and wait for what comes of it.

        Raises what the other end raised, `Unavailable` if it is away.
        """
        writer = await self._connected()
        self._number = (self._number + 1) % (1 << 32)
        number = self._number
        future: asyncio.Future[Came] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            writer.write(_frame(number, kind, octets))
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await future
        except (TimeoutError, ConnectionError) as error:
            raise Unavailable("the process that signs OCSP answers does not answer") from error
        finally:
            self._waiting.pop(number, None)

    def refresh(self, octets: bytes) -> None:
        """Have an answer made anew; it is left out while the other end is away."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(_frame(0, _REFRESH, octets))

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None or self._writer.is_closing():
                try:
                    reader, self._writer = await asyncio.open_unix_connection(self._path)
                except OSError as error:
                    raise Unavailable("the process that signs OCSP answers is away") from error
                self._reading = asyncio.create_task(self._read(reader, self._writer))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                number, kind, octets = await _read(reader, _MAX_OCTETS)
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    _settle(future, kind, octets)
        except (asyncio.IncompleteReadError, ConnectionError):
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(Unavailable("the process that signs OCSP answers ended"))
        finally:
            writer.close()


def _settle(future: asyncio.Future[Came], kind: int, octets: bytes) -> None:
    if kind == _PEEKED:
        future.set_result(
            frozenset(
                int.from_bytes(octets[at : at + SERIAL_OCTETS], "big")
                for at in range(0, len(octets), SERIAL_OCTETS)
            )
        )
    elif kind == _ANSWER:
        count, length = _MADE.unpack_from(octets)
        end = _MADE.size + length
        future.set_result(Made(octets[_MADE.size : end] or None, octets[end:], count))
    elif octets[0] < _INTERNAL:
        future.set_exception(_ERRORS[octets[0]](octets[1:].decode()))
    else:
        future.set_exception(RuntimeError("the process that signs has recorded an error"))


async def _read(reader: asyncio.StreamReader, most: int) -> tuple[int, int, bytes]:
    number, kind, length = _FRAME.unpack(await reader.readexactly(_FRAME.size))
    if length > most:
        raise ConnectionError("a frame is too long")
    return number, kind, await reader.readexactly(length)


def _frame(number: int, kind: int, octets: bytes) -> bytes:
    return _FRAME.pack(number, kind, len(octets)) + octets
