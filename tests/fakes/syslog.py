"""A syslog collector with real TLS, in a thread: it reads octet-counted messages (RFC 5425)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path


def make_certificate(directory: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Return a self-signed certificate for `name` and its key."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


class Collector:
    """Listens until told to stop; keeps every message."""

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        self.messages: list[str] = []
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate, key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._arrived = threading.Condition()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def wait_for(self, count: int) -> list[str]:
        """Return the messages once there are so many."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.messages) >= count, 10), self.messages
            return list(self.messages)

    def stop(self) -> None:
        """Break every connection and listen no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._read, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _read(self, connection: socket.socket) -> None:
        with connection:
            try:
                stream = connection
                if self._tls is not None:
                    stream = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(stream)
                with stream, stream.makefile("rb") as file:
                    self._messages(file)
            except OSError:
                return

    def _messages(self, file) -> None:
        while True:
            length = b""
            while (octet := file.read(1)) not in {b" ", b""}:
                length += octet
            if not length:
                return
            message = file.read(int(length))
            with self._arrived:
                self.messages.append(message.decode("ascii"))
                self._arrived.notify_all()
