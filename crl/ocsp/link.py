"""Between the processes that answer and the one that signs: frames on a Unix socket.

A frame is a number, a kind, a length and octets. Both ends belong to one installation, and the
socket is in its state directory, which nobody else can enter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from struct import Struct
from typing import Final

from core.errors import Malformed, NotFound, TooLarge, TrustError, Unavailable
from crl.ocsp.request import MAX_REQUEST_OCTETS
from crl.ocsp.signing import Made, Signing

log = logging.getLogger(__name__)

_FRAME: Final = Struct(">IBI")
_MADE: Final = Struct(">HI")
"""Where the answer is counted, and the length of its block."""
_MAKE, _REFRESH = 1, 2
_ANSWER, _REFUSED = 1, 2
_MAX_OCTETS: Final = 1 << 20
_ANSWER_SECONDS: Final = 6.0
_ERRORS: Final[tuple[type[TrustError], ...]] = (Malformed, TooLarge, NotFound, Unavailable)
_INTERNAL: Final = len(_ERRORS)


async def serve_signing(signing: Signing, path: Path) -> asyncio.Server:
    """Make answers for the other processes of this host, until the server is closed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks: set[asyncio.Task[None]] = set()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                number, kind, octets = await _read(reader, MAX_REQUEST_OCTETS)
                if kind == _REFRESH:
                    with contextlib.suppress(TrustError):
                        signing.refresh(octets)
                    continue
                task = asyncio.create_task(_answer(signing, number, octets, writer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        for task in tasks:
            task.cancel()
        writer.close()

    # It takes the place of what a process that was killed left behind.
    return await asyncio.start_unix_server(answer, path)


async def _answer(
    signing: Signing, number: int, octets: bytes, writer: asyncio.StreamWriter
) -> None:
    try:
        made = await signing.make(octets)
    except TrustError as error:
        code = next((at for at, kind in enumerate(_ERRORS) if isinstance(error, kind)), _INTERNAL)
        frame = _frame(number, _REFUSED, bytes((code,)) + str(error).encode())
    except Exception:  # recorded; the other end says internalError
        log.exception("unexpected error while an OCSP answer was made")
        frame = _frame(number, _REFUSED, bytes((_INTERNAL,)))
    else:
        block = made.block or b""
        frame = _frame(number, _ANSWER, _MADE.pack(made.count, len(block)) + block + made.octets)
    writer.write(frame)


class RemoteSigning:
    """`Signing` by the process that has the keys. To be used from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Made]] = {}

    async def make(self, octets: bytes) -> Made:
        """Have an answer made. Raises what the other end raised, `Unavailable` if it is away."""
        writer = await self._connected()
        self._number = (self._number + 1) % (1 << 32)
        number = self._number
        future: asyncio.Future[Made] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            writer.write(_frame(number, _MAKE, octets))
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


def _settle(future: asyncio.Future[Made], kind: int, octets: bytes) -> None:
    if kind == _ANSWER:
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
