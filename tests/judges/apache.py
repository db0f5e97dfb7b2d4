"""Apache with a module that logs people in, before an application that shows its headers."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.judges import JudgeSaysNo

_MODULES = Path("/usr/lib/apache2/modules")
_CONFIGURATION = """
ServerName localhost
ServerRoot {directory}
PidFile {directory}/pid
ErrorLog {directory}/log
LogLevel warn {module}:info
Listen 127.0.0.1:{port}
{modules}
User www-data
Group www-data
SSLEngine on
SSLCertificateFile {certificate}
SSLCertificateKeyFile {certificate}
{directives}
"""


@contextmanager
def running(
    directory: Path, module: str, directives: str, *, port: int, certificate: Path
) -> Iterator[None]:
    """Run Apache with a module that logs people in, as its directives say."""
    configuration = directory / "apache.conf"
    names = (
        *("mpm_event", "authn_core", "authz_core", "authz_user", "socache_shmcb", "ssl"),
        *("proxy", "proxy_http", "headers", module),
    )
    modules = "\n".join(
        f"LoadModule {name}_module {_MODULES}/mod_{name}.so"
        for name in names
        if (_MODULES / f"mod_{name}.so").exists()
    )
    configuration.write_text(
        _CONFIGURATION.format(
            directory=directory,
            port=port,
            module=module,
            modules=modules,
            certificate=certificate,
            directives=directives,
        )
    )
    process = subprocess.Popen(
        ["/usr/sbin/apache2", "-f", str(configuration), "-DFOREGROUND"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_until_ready(process, directory)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _wait_until_ready(process: subprocess.Popen[str], directory: Path) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            said = process.stdout.read() if process.stdout else ""
            raise JudgeSaysNo(f"Apache does not start: {said}")
        log = directory / "log"
        if (directory / "pid").exists() and log.exists():
            return
        time.sleep(0.05)
    raise JudgeSaysNo("Apache does not become ready")


@contextmanager
def application(certificate: Path | None = None) -> Iterator[int]:
    """An application that shows the headers of each request, as JSON; gives its port.

    `certificate`: a file with key and certificate, to be at https.
    """

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown = {name.lower(): value for name, value in self.headers.items()}
            body = json.dumps(shown).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
