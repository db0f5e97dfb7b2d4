"""``yinxin login``: an administrator signs in through our own OpenID provider (RFC 8252).

The browser comes back to a listener on the loopback interface; code and PKCE verifier are
exchanged for an access token with the scope ``admin``, which the API takes as a bearer token for
some minutes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import ssl
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import click
from typing_extensions import override

from authn.oidc.clients import CONSOLE
from core.errors import Refused, TrustError, Unavailable
from yinxin.cli.client import check_server, tls_context
from yinxin.cli.context import Invocation
from yinxin.cli.remote import PathTo, our_root
from yinxin.first_start import CONSOLE_REDIRECT_URI

WAIT_SECONDS: Final = 300
_MAX_ANSWER_OCTETS: Final = 65_536
_PAGE: Final = "<!doctype html><meta charset=utf-8><title>印信</title><p>{}</p>"


def log_in(server: str, *, trust: Path | None, token_file: Path) -> None:
    """Print where to sign in, wait for the browser to come back, and write the token (0600).

    Raises `Refused` when the provider or the person says no, `Unavailable` when nobody answers.
    """
    check_server(server)
    issuer = server.rstrip("/")
    context = tls_context(trust)
    if not os.access(token_file if token_file.exists() else token_file.parent, os.W_OK):
        raise Refused(f"cannot write {token_file}")
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    asked = {
        "response_type": "code",
        "client_id": CONSOLE,
        "redirect_uri": CONSOLE_REDIRECT_URI,
        "scope": "openid admin",
        "state": state,
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    with _listen() as listener:
        click.echo(
            f"Open this address and sign in:\n\n  {issuer}/oidc/authorize?{urlencode(asked)}\n"
        )
        answer = listener.wait(time.monotonic() + WAIT_SECONDS)
    if "error" in answer:
        raise Refused(f"the provider said {answer['error']}: {answer.get('error_description', '')}")
    # RFC 9207: an answer of another issuer, or to another request, is not ours.
    if not hmac.compare_digest(answer.get("state", ""), state) or answer.get("iss") != issuer:
        raise Refused("the browser brought an answer that does not belong to this login")
    form = {
        "grant_type": "authorization_code",
        "client_id": CONSOLE,
        "code": answer.get("code", ""),
        "redirect_uri": CONSOLE_REDIRECT_URI,
        "code_verifier": verifier,
    }
    token, seconds = _tokens(_post(f"{issuer}/oidc/token", form, context))
    _write(token_file, token)
    click.echo(f"Signed in; the token in {token_file} works for {seconds} seconds.")


def _tokens(answer: bytes) -> tuple[str, int]:
    try:
        tokens = json.loads(answer)
        return str(tokens["access_token"]), int(tokens["expires_in"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused("the answer is not that of a provider") from error


class _Listener(HTTPServer):
    """Waits for one visit to the redirect URI."""

    answer: dict[str, str] | None = None

    def wait(self, until: float) -> dict[str, str]:
        while self.answer is None:
            self.timeout = until - time.monotonic()
            if self.timeout <= 0:
                raise Unavailable(f"nobody signed in within {WAIT_SECONDS} seconds; try again")
            self.handle_request()
        return self.answer


class _Visit(BaseHTTPRequestHandler):
    server: _Listener
    timeout = 10

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        found = parts.path == urlsplit(CONSOLE_REDIRECT_URI).path
        if found:
            self.server.answer = {key: values[0] for key, values in parse_qs(parts.query).items()}
        words = "请回到命令行。You may close this page." if found else "Not here."
        page = _PAGE.format(words).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.end_headers()
        self.wfile.write(page)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the address holds the code."""


def _listen() -> _Listener:
    parts = urlsplit(CONSOLE_REDIRECT_URI)
    try:
        return _Listener((parts.hostname or "", parts.port or 0), _Visit)
    except OSError as error:
        raise Refused(
            f"cannot listen on {parts.netloc}, where the browser comes back: {error.strerror}"
        ) from error


def _post(url: str, form: dict[str, str], context: ssl.SSLContext) -> bytes:
    request = urllib.request.Request(url, data=urlencode(form).encode())  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            octets: bytes = answer.read(_MAX_ANSWER_OCTETS)
            return octets
    except urllib.error.HTTPError as error:
        raise _refusal(error) from error
    except (OSError, HTTPException) as error:
        raise Unavailable(f"cannot reach {url}: {getattr(error, 'reason', error)}") from error


def _refusal(error: urllib.error.HTTPError) -> TrustError:
    try:
        body = json.loads(error.read(_MAX_ANSWER_OCTETS))
        return Refused(f"the provider said {body['error']}: {body['error_description']}")
    except (ValueError, KeyError, TypeError):
        return Refused(f"the provider answered {error.code}")


def _write(path: Path, token: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}") from error


@click.command()
@click.option("--server", envvar="YINXIN_SERVER_URL", help="https://host:port")
@click.option("--trust", type=PathTo, help="PEM of the root to trust.")
@click.option(
    "--token-file",
    envvar="YINXIN_TOKEN_FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the token.",
)
@click.make_pass_decorator(Invocation)
def login(
    invocation: Invocation, *, server: str | None, trust: Path | None, token_file: Path
) -> None:
    """Sign in as an administrator through the browser; the token lasts some minutes."""
    log_in(
        server or invocation.settings.authn.issuer,
        trust=trust or our_root(invocation),
        token_file=token_file,
    )


COMMANDS: Final = (login,)
