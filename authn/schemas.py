"""What the API of users, clients and bindings takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.store import AuthMethod, Client, IDTokenAlgorithm
from authn.store import Binding, User
from core.control_store import Proposal, ProposalState
from core.identity import Role


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


URI = Annotated[str, Field(min_length=1, max_length=2000)]


class NewClient(_In):
    """A relying party to register."""

    name: str = Field(min_length=1, max_length=200, examples=["办公系统"])
    client_id: str | None = Field(default=None, examples=["oa-portal"])
    redirect_uris: list[URI] = Field(
        default=[], max_length=20, examples=[["https://oa.example.gov.cn/callback"]]
    )
    post_logout_redirect_uris: list[URI] = Field(default=[], max_length=20)
    auth_method: AuthMethod = AuthMethod.BASIC
    scopes: list[str] = Field(default=["openid", "profile", "email"], max_length=50)
    id_token_algorithm: IDTokenAlgorithm = IDTokenAlgorithm.ES256
    metadata: ClientMetadata = ClientMetadata()


class ClientChange(_In):
    """Everything about a relying party but its id and its secret."""

    name: str = Field(min_length=1, max_length=200)
    redirect_uris: list[URI] = Field(default=[], max_length=20)
    post_logout_redirect_uris: list[URI] = Field(default=[], max_length=20)
    auth_method: AuthMethod = AuthMethod.BASIC
    scopes: list[str] = Field(default=["openid", "profile", "email"], max_length=50)
    id_token_algorithm: IDTokenAlgorithm = IDTokenAlgorithm.ES256
    metadata: ClientMetadata = ClientMetadata()


class SecretRotation(_In):
    """A new secret for a client."""

    keep_old_hours: int = Field(default=24, ge=0, le=720)
    """How long the old secret goes on working beside the new one."""


class NewSecret(BaseModel):
    """The new secret: it is shown this once."""

    client_secret: str


class ClientView(BaseModel):
    """A registered client."""

    client_id: str
    name: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    auth_method: AuthMethod
    scopes: list[str]
    id_token_algorithm: IDTokenAlgorithm
    created_at: datetime
    metadata: ClientMetadata

    @classmethod
    def of(cls, client: Client) -> Self:
        return cls(
            client_id=client.id,
            name=client.name,
            redirect_uris=list(client.redirect_uris),
            post_logout_redirect_uris=list(client.post_logout_redirect_uris),
            auth_method=client.auth_method,
            scopes=sorted(client.scopes),
            id_token_algorithm=client.id_token_algorithm,
            created_at=client.created_at,
            metadata=client.metadata,
        )


class ClientCreated(BaseModel):
    """A client, and its secret: it is shown this once."""

    client: ClientView
    client_secret: str | None


class NewUser(_In):
    """A person to create."""

    name: str = Field(min_length=1, max_length=64, examples=["zhang.wei"])
    display_name: str = Field(min_length=1, max_length=200, examples=["张伟"])
    email: str | None = Field(default=None, max_length=254)
    role: Role | None = None


class FactorResetReason(_In):
    """Why the second factors of a person are taken away."""

    reason: str = Field(min_length=1, max_length=500, examples=["手机丢失"])


class Contact(_In):
    """Where a person is reached; what is left out is not known any more."""

    email: str | None = Field(default=None, max_length=254)
    phone: str | None = Field(default=None, max_length=32, examples=["+8613800138000"])
    address: str | None = Field(default=None, max_length=300, examples=["北京市东城区某街1号"])


class RoleChange(_In):
    """Another role for a person, or none."""

    role: Role | None


class Proposed(BaseModel):
    """An act that others may still have to agree to (docs/control.md)."""

    proposal: str
    state: ProposalState

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        return cls(proposal=proposal.id, state=proposal.state)


class UserView(BaseModel):
    """A person."""

    id: str
    name: str
    display_name: str
    email: str | None
    phone: str | None
    address: str | None
    role: Role | None
    disabled: bool
    has_password: bool
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(
            id=user.id,
            name=user.name,
            display_name=user.display_name,
            email=user.email,
            phone=user.phone,
            address=user.address,
            role=user.role,
            disabled=user.disabled,
            has_password=user.password_hash is not None,
            created_at=user.created_at,
        )


class SessionsEnded(BaseModel):
    """How many sessions were ended."""

    sessions: int


class SetupLink(BaseModel):
    """Where the person chooses a password; shown this once, good for one use."""

    url: str


class NewBinding(_In):
    """Whose certificate it is. The subject is bound, so renewals keep working."""

    user_id: str = Field(max_length=36)
    certificate: str = Field(max_length=50_000, description="PEM, the issuers may follow")


class BindingView(BaseModel):
    """A bound certificate subject."""

    id: str
    user_id: str
    issuer: str
    subject_sha256: str
    created_at: datetime

    @classmethod
    def of(cls, binding: Binding) -> Self:
        return cls(
            id=binding.id,
            user_id=binding.user_id,
            issuer=binding.issuer,
            subject_sha256=binding.subject_digest.hex(),
            created_at=binding.created_at,
        )


class Whoami(BaseModel):
    """Who the API thinks is asking."""

    name: str
    role: Role | None
    method: str


class ChallengeView(BaseModel):
    """What to sign: the octets of `message`, without a line end."""

    nonce: str
    message: str


class ChallengeAnswer(_In):
    """A certificate and its signature over the message, or one CMS message with both."""

    nonce: str = Field(max_length=64)
    certificate: str = Field(
        default="",
        max_length=50_000,
        description="PEM or base64 of the DER; empty when the signature is a CMS message",
    )
    signature: str = Field(
        max_length=100_000,
        description="base64: RSA PKCS#1 v1.5 SHA-256, ECDSA DER, SM2 DER or raw r||s; or CMS "
        "SignedData, base64 or PEM",
    )


class LoggedIn(BaseModel):
    """The session is in the cookie."""

    user: str


class SigningKeyView(BaseModel):
    """A key that signs tokens, and its times."""

    ref: str
    kid: str
    algorithm: IDTokenAlgorithm
    state: str
    created_at: datetime
    signs_from: datetime
    signs_until: datetime | None
    gone_at: datetime | None


class KeyRotation(_In):
    """A new signing key."""

    algorithm: IDTokenAlgorithm
    at_once: bool = Field(
        default=False,
        description="for a key that others may have: the old ones are gone at once, with "
        "everything that they signed",
    )
