"""Commands on requests for certificates."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any, Final

import click

from ca.requests import RequestState
from core.errors import Refused
from yinxin.cli.client import Client
from yinxin.cli.files import read_octets
from yinxin.cli.remote import PAGE, PathTo, remote, show, step


@click.group()
def request() -> None:
    """Requests for certificates: submit, approve, reject."""


@request.command("submit")
@click.argument("csr", type=PathTo)
@click.option("--profile", required=True)
@click.option("--issuer", required=True)
@click.option(
    "--alternative-name",
    "names",
    multiple=True,
    help="dns:…, ip:…, email:… or uri:…; replaces those of the CSR.",
)
@click.option(
    "--identity",
    "identity",
    multiple=True,
    metavar="NAME=VALUE",
    help="An identity extension of the profile.",
)
@click.option("--days", type=int, help="Validity; default: the profile's.")
@click.option("--idempotency-key", help="Default: a random one, so that a retry is safe.")
@remote
def request_submit(
    client: Client,
    csr: Path,
    *,
    profile: str,
    issuer: str,
    names: tuple[str, ...],
    identity: tuple[str, ...],
    days: int | None,
    idempotency_key: str | None,
) -> None:
    """Submit a PKCS#10 request (PEM or DER)."""
    body: dict[str, Any] = {
        "csr": csr_pem(read_octets(csr)),
        "profile": profile,
        "issuer": issuer,
    }
    if names:
        body["alternative_names"] = names
    if identity:
        body["identity"] = dict(_pair(item) for item in identity)
    if days is not None:
        body["validity_days"] = days
    key = idempotency_key or secrets.token_hex(16)
    if not key.isascii() or not key.isprintable():
        raise Refused("an idempotency key is printable ASCII")
    show(client.post("/requests", body, Idempotency_Key=key))


def csr_pem(octets: bytes) -> str:
    """Return a CSR in PEM, as the API takes it."""
    if octets.startswith(b"\x30"):
        body = base64.encodebytes(octets).decode()
        return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    return octets.decode("ascii", errors="replace")


def _pair(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals:
        raise Refused(f"{item!r} is not NAME=VALUE")
    return name, value


@request.command("list")
@click.option("--state", type=click.Choice([str(state) for state in RequestState]))
@click.option("--limit", default=PAGE, show_default=True)
@click.option("--cursor", help="Where the last page ended.")
@remote
def request_list(
    client: Client,
    *,
    state: str | None,
    limit: int,
    cursor: str | None,
) -> None:
    """List requests, newest first."""
    show(client.get_json("/requests", state=state, limit=limit, cursor=cursor))


@request.command("show")
@click.argument("request_id")
@remote
def requestshow(client: Client, request_id: str) -> None:
    """Look at a request."""
    show(client.get_json(f"/requests/{step(request_id)}"))


@request.command("approve")
@click.argument("request_id")
@remote
def request_approve(client: Client, request_id: str) -> None:
    """Approve a request; its certificate is issued unless another step comes first.

    May be repeated.
    """
    show(client.post(f"/requests/{step(request_id)}/approve", {}))


@request.command("reject")
@click.argument("request_id")
@click.option("--reason", required=True)
@remote
def request_reject(client: Client, request_id: str, *, reason: str) -> None:
    """Reject a request."""
    show(client.post(f"/requests/{step(request_id)}/reject", {"reason": reason}))


COMMANDS: Final = (request,)
