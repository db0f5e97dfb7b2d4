"""What the first start makes: two hierarchies and three administrators.

Every step looks first and makes only what is missing, so that a first start that was killed is
finished by the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from authn.administration import Administration
from ca.bootstrap import NewIssuer, create_root, create_subordinate
from ca.profiles import CertificateProfile
from ca.sqlstore import SQLCertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Misconfigured
from core.identity import SYSTEM_ACTOR, Role
from core.transaction import Transactions
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from keystore.registry import KeyStore
from yinxin.config import FirstStartConfig

CONSOLE_REDIRECT_URI: Final = "http://127.0.0.1:8765/callback"
"""Where ``yinxin login`` waits for the browser (RFC 8252, 7.3)."""

ADMINISTRATORS: Final = (
    ("system", "系统管理员", Role.SYSTEM),
    ("business", "业务管理员", Role.BUSINESS),
    ("audit", "审计管理员", Role.AUDIT),
)

CENTRE_ADMINISTRATORS: Final = (
    ("system", "系统管理员", Role.SYSTEM),
    ("key", "密钥管理员", Role.KEY),
    ("judicial", "司法取证员", Role.JUDICIAL),
    ("audit", "审计管理员", Role.AUDIT),
)
"""Those of a key management centre that runs apart."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What issuing needs, in one hand."""

    keystore: KeyStore
    store: SQLCertificateStore
    profiles: Mapping[str, CertificateProfile]
    revocation_url: str
    transactions: Transactions
    audit: AuditLog
    clock: Clock


def ensure_authority(authority: Authority, config: FirstStartConfig) -> None:
    """Make an SM2 and an RSA-3072 hierarchy, root and issuing CA, where they are missing."""
    hierarchies = (
        ("sm2", "SM2", KeyAlgorithm.SM2, config.sm2_key),
        ("rsa", "RSA", KeyAlgorithm.RSA_3072, config.rsa_key),
    )
    for name, word, algorithm, template in hierarchies:
        if template.count("{name}") != 1:
            raise Misconfigured(f"first_start.{name}_key must contain {{name}} exactly once")

        def new(kind: str, title: str) -> NewIssuer:
            full = f"{name}-{kind}"  # noqa: B023  (called in this turn of the loop only)
            return NewIssuer(
                name=full,
                subject=(
                    ("C", config.country),
                    ("O", config.organization),
                    ("CN", f"{config.organization} {word} {title}"),  # noqa: B023
                ),
                algorithm=algorithm,  # noqa: B023
                key_ref=keyref.parse(template.format(name=full)),  # noqa: B023
            )

        root = create_root(
            new("root", "Root CA"),
            profile=authority.profiles["root"],
            revocation_url=authority.revocation_url,
            keystore=authority.keystore,
            store=authority.store,
            transactions=authority.transactions,
            audit=authority.audit,
            clock=authority.clock,
        )
        create_subordinate(
            new("issuing", "Issuing CA"),
            parent=root,
            profile=authority.profiles["issuing-ca"],
            keystore=authority.keystore,
            store=authority.store,
            transactions=authority.transactions,
            audit=authority.audit,
            clock=authority.clock,
        )


def ensure_administrators(
    administration: Administration,
    administrators: tuple[tuple[str, str, Role], ...] = ADMINISTRATORS,
) -> Mapping[str, str]:
    """Make the administrators that are missing; return their one-time set-up tokens.

    Also registers the built-in client with which they sign in from the command line.

    The tokens are shown once, by the caller. `yinxin user setup-link` makes another.
    """
    administration.clients.ensure_console((CONSOLE_REDIRECT_URI,), actor=SYSTEM_ACTOR)
    users = administration.users
    links = {}
    for name, display_name, role in administrators:
        if users.find_by_name(name) is None:
            user = users.create_user(name, display_name=display_name, role=role, actor=SYSTEM_ACTOR)
            links[name] = users.create_setup_link(user, actor=SYSTEM_ACTOR)
    return links
