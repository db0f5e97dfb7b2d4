"""The audit chain to a syslog collector: RFC 5424 messages, framed and over TLS as in RFC 5425."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Final

from core.audit_chain import Checkpoint
from core.audit_export import Line
from core.errors import Unavailable

_PRIORITY: Final = 13 * 8 + 5
"""Facility 13 (log audit), severity 5 (notice): RFC 5424, 6.2.1."""
_SECONDS: Final = 5
_OVERLAP: Final = 500
"""The protocol has no acknowledgement (RFC 5425, 4.4): what was sent before a connection broke may
be lost. So this many rows are sent again on a new one; a row sent twice is the same row."""


class SyslogTarget:
    """`core.audit_export.AuditTarget` over one connection. Without `tls` it is plain TCP."""

    name = "syslog"

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, hostname: str) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._hostname = hostname
        self._connection: socket.socket | None = None

    def resume(self, sequence: int) -> int:
        if self._connection is not None and _is_open(self._connection):
            return sequence
        self.close()
        try:
            plain = socket.create_connection((self._host, self._port), timeout=_SECONDS)
            self._connection = plain
            if self._tls is not None:
                self._connection = self._tls.wrap_socket(plain, server_hostname=self._host)
        except OSError as error:
            self.close()
            raise self._unavailable(error) from error
        return max(0, sequence - _OVERLAP)

    def write(self, lines: Sequence[Line]) -> None:
        if self._connection is None:
            raise Unavailable("the syslog collector is not connected")
        try:
            self._connection.sendall(b"".join(frame(line, self._hostname) for line in lines))
        except OSError as error:
            self.close()
            raise self._unavailable(error) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _unavailable(self, error: OSError) -> Unavailable:
        reason = getattr(error, "verify_message", None) or error.strerror or str(error)
        return Unavailable(f"syslog collector {self._host}:{self._port}: {reason}")


def frame(line: Line, hostname: str) -> bytes:
    """Return one octet-counted message (RFC 5425, 4.3; RFC 5424, 6)."""
    kind = "checkpoint" if isinstance(line.of, Checkpoint) else "event"
    at = line.of.at.isoformat().replace("+00:00", "Z")
    # The text is ASCII, so that no byte order mark is needed (RFC 5424, 6.4).
    message = f"<{_PRIORITY}>1 {at} {hostname} yinxin - {kind} - {line.text}".encode("ascii")
    return b"%d %s" % (len(message), message)


def _is_open(connection: socket.socket) -> bool:
    """Tell whether the other side still listens. A collector never sends anything."""
    connection.settimeout(0)
    try:
        return connection.recv(1) != b""
    except (ssl.SSLWantReadError, BlockingIOError):
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(_SECONDS)
