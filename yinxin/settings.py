"""The only module that reads the environment. One TOML file plus ``YINXIN_*`` variables.

A variable names a key by its path: ``YINXIN_SERVER__HTTPS_PORT=9443``. The environment wins over
the file; a value is read as TOML and, failing that, as text. Unknown keys are refused wherever they
come from.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from authn.config import AuthnConfig
from ca.bulkconfig import BulkConfig
from ca.config import CAConfig
from ca.notices_config import NoticesConfig
from core.config import ControlConfig
from core.errors import Misconfigured
from crl.config import RevocationConfig
from crl.publication_config import PublicationConfig
from keystore import pin
from keystore.config import KeystoreConfig
from keystore.escrow.config import KeyManagementConfig
from keystore.pin import SecretSource
from yinxin.config import (
    AuditConfig,
    DatabaseConfig,
    FirstStartConfig,
    HealthConfig,
    LogConfig,
    OCSPNodeConfig,
    RegistrationConfig,
    ServerConfig,
)

PREFIX = "YINXIN_"
PASSPHRASE_VARIABLE = "YINXIN_PASSPHRASE"
PIN_VARIABLE = "YINXIN_PKCS11_PIN"
"""Secrets that open the keystore. Not settings: never shown, and never in a file of settings."""

_NOT_SETTINGS = frozenset(
    {
        PASSPHRASE_VARIABLE,
        PIN_VARIABLE,
        "YINXIN_STATE",
        "YINXIN_CONFIG",
        "YINXIN_TOKEN_FILE",
        "YINXIN_SERVER_URL",
    }
)
"""Read by `secret_from_environment` and by the command line."""


DERIVED = (("authn", "issuer"), ("ca", "revocation_url"), ("authn", "tls_login_url"))
"""Settings that follow from [server] when they are not given."""


class Settings(BaseModel):
    """Every setting of one installation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: ServerConfig = ServerConfig()
    database: DatabaseConfig = DatabaseConfig()
    keystore: KeystoreConfig = KeystoreConfig()
    key_management: KeyManagementConfig = KeyManagementConfig()
    ca: CAConfig
    registration: RegistrationConfig = RegistrationConfig()
    ocsp_node: OCSPNodeConfig = OCSPNodeConfig()
    bulk: BulkConfig = BulkConfig()
    revocation: RevocationConfig = RevocationConfig()
    publication: PublicationConfig = PublicationConfig()
    notices: NoticesConfig = NoticesConfig()
    authn: AuthnConfig
    audit: AuditConfig = AuditConfig()
    health: HealthConfig = HealthConfig()
    control: ControlConfig = ControlConfig()
    first_start: FirstStartConfig = FirstStartConfig()
    log: LogConfig = LogConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        approvals = self.control.ca_certificate.approvals
        if self.ca.renew_issuing_days is not None and approvals:
            raise ValueError(
                f"ca.renew_issuing_days renews by itself, and control.ca_certificate.approvals = "
                f"{approvals} wants people to agree: leave one of them out"
            )
        if self.server.processes > 1 and not (self.database.url or "").startswith("postgresql"):
            raise ValueError(
                f"server.processes = {self.server.processes} needs PostgreSQL (database.url): "
                "SQLite has one writer, so leave it at 1"
            )
        return self


def load_settings(path: Path | None) -> Settings:
    """Read file and environment once. Raises `Misconfigured` with the key and what is wrong."""
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise Misconfigured(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{path} is not TOML: {error}") from error
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in _NOT_SETTINGS:
            _put(tree, name, os.environ[name])
    try:
        _derive(tree)
        return Settings.model_validate(tree)
    except ValidationError as error:
        # Never the input itself: it may be a password.
        faults = "; ".join(
            ": ".join(
                filter(None, (_where(item["loc"]), item["msg"].removeprefix("Value error, ")))
            )
            for item in error.errors(include_input=False, include_url=False)
        )
        raise Misconfigured(f"the settings are wrong: {faults}") from error


def _where(steps: Sequence[str | int]) -> str:
    # A type that is tried in two ways (an IPv4 or an IPv6 network) names itself; its key is enough.
    return ".".join(str(step) for step in steps if "[" not in str(step))


def _put(tree: dict[str, Any], variable: str, text: str) -> None:
    steps = variable.removeprefix(PREFIX).lower().split("__")
    node = tree
    for step in steps[:-1]:
        child = node.setdefault(step, {})
        if not isinstance(child, dict):
            raise Misconfigured(f"{variable} does not name a setting")
        node = child
    try:
        node[steps[-1]] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        node[steps[-1]] = text


def _derive(tree: dict[str, Any]) -> None:
    """Fill in the addresses that follow from [server]; a proxy in front makes them differ."""
    try:
        server = ServerConfig.model_validate(tree.get("server", {}))
    except ValidationError:
        server = ServerConfig()  # the whole tree is validated next, and that names the key
    addresses = (
        f"https://{server.public_host}:{server.https_port}",
        f"http://{server.public_host}:{server.http_port}",
        f"https://{server.public_host}:{server.mutual_tls_port}",
    )
    for (section, key), address in zip(DERIVED, addresses, strict=True):
        node = tree.setdefault(section, {})
        if isinstance(node, dict):
            node.setdefault(key, address)


def secret_from_environment(variable: str) -> SecretSource | None:
    """Return where to fetch a secret that the environment holds, or None if it does not."""
    text = os.environ.get(variable)
    return None if text is None else pin.from_value(text)


def effective(settings: Settings) -> dict[str, Any]:
    """Return every value that is in force, for people. Passwords in URLs are masked."""
    tree: dict[str, Any] = settings.model_dump(mode="json")
    for key in ("url", "owner_url"):
        url = tree["database"][key]
        if url is not None and "@" in url:
            scheme, _, rest = url.partition("://")
            user, _, place = rest.rpartition("@")
            url = f"{scheme}://{user.partition(':')[0]}:***@{place}"
        if url is not None:
            # libpq takes it as a parameter, too; this is shown over HTTP as well.
            tree["database"][key] = re.sub(r"(?i)([?&]password=)[^&]*", r"\1***", url)
    return tree


def flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return a tree of settings as (``section.key``, value) pairs."""
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        found += flat(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]
    return found
