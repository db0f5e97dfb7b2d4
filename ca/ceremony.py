"""What a ceremony file says: one CA certificate to be made, as people review it.

One TOML file describes one act: a root, an issuing CA under a root of ours, its roll-over to the
next generation, a cross-certificate for another CA's key, or a request to an outside root. What
the file leaves open (serial number, validity instants, the key) is drawn once by `ceremony keys`
and kept in a lock file, so that everybody sees the same octets (`ca.ceremony_plan`).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ca.nameconstraints import parse_subtree
from ca.names import Attributes, check_attributes
from core.errors import Malformed, TooLarge, TrustError
from keystore import keyref
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.keyref import KeyRef

MAX_FILE_OCTETS: Final = 65_536
ISSUER_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_SERIAL: Final = r"^[0-7][0-9a-f]{39}$"


class Act(StrEnum):
    """What a ceremony makes."""

    ROOT = "root"
    ISSUING_CA = "issuing-ca"
    ROLL_OVER = "roll-over"
    """The next generation of an issuing CA: a new key, which takes over at a date."""
    CROSS_CERTIFICATE = "cross-certificate"
    """A certificate of ours for another CA's key."""
    REQUEST = "request"
    """A PKCS#10 request for an outside root."""

    @property
    def has_key(self) -> bool:
        """Whether the act makes a key of ours."""
        return self is not Act.CROSS_CERTIFICATE

    @property
    def profile(self) -> str:
        """The certificate profile when the file names none."""
        return {Act.ROOT: "root", Act.CROSS_CERTIFICATE: "cross-ca"}.get(self, "issuing-ca")


class NameConstraints(BaseModel):
    """Subtrees as `ca.nameconstraints` writes them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    permitted: tuple[str, ...] = Field(default=(), max_length=100)
    excluded: tuple[str, ...] = Field(default=(), max_length=100)

    @field_validator("permitted", "excluded")
    @classmethod
    def _subtrees(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                parse_subtree(text)
            except TrustError as error:
                raise ValueError(str(error)) from error
        return value


class Description(BaseModel):
    """The content of a ceremony file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    act: Act
    name: str
    """Of the new issuer, or of the other CA: lowercase letters, digits, hyphens."""
    title: str = Field(default="", max_length=200)
    """For people."""
    subject: dict[str, str | tuple[str, ...]] = {}
    key_algorithm: KeyAlgorithm | None = None
    key: str | None = None
    """A key reference; default ``software:object=<name>``. A key that exists already is used."""
    signature: SignatureAlgorithm | None = None
    """How the new key signs; default: the first of its algorithm."""
    issuer: str | None = None
    """The issuer of ours that signs."""
    profile: str | None = None
    path_length: int | None = Field(default=None, ge=0, le=10)
    not_before: datetime | None = None
    not_after: datetime | None = None
    validity_days: int | None = Field(default=None, ge=1, le=36_600)
    serial: str | None = Field(default=None, pattern=_SERIAL)
    name_constraints: NameConstraints = NameConstraints()
    other_ca: str | None = None
    """A file beside this one: the other CA's certificate or request."""
    succeeds: str | None = None
    """The issuing CA whose next generation this is."""
    takes_over_at: datetime | None = None

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if ISSUER_NAME.fullmatch(value) is None:
            raise ValueError("a name is lowercase letters, digits and hyphens, a letter first")
        return value

    @field_validator("key")
    @classmethod
    def _key(cls, value: str | None) -> str | None:
        try:
            return None if value is None else keyref.parse(value)
        except Malformed as error:
            raise ValueError(str(error)) from error

    @field_validator("not_before", "not_after", "takes_over_at")
    @classmethod
    def _instant(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None or value.microsecond:
            raise ValueError("an instant has whole seconds and an offset: 2027-01-01T00:00:00Z")
        return value.astimezone(UTC)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for field, acts in _NEEDED.items():
            given = bool(getattr(self, field))
            if given and self.act not in acts:
                raise ValueError(f"{field} has no meaning in a {self.act}")
            if not given and self.act in acts and field not in _OPTIONAL:
                raise ValueError(f"{field} is missing")
        if self.not_after is not None and self.validity_days is not None:
            raise ValueError("say not_after or validity_days, not both")
        if self.succeeds == self.name:
            raise ValueError("the next generation has a name of its own")
        return self

    @property
    def key_ref(self) -> KeyRef:
        """Where the key is or shall be."""
        return keyref.parse(self.key or f"software:object={self.name}")

    def attributes(self) -> Attributes:
        """Return the subject, checked and in the order of encoding. Raises `Refused`."""
        pairs: list[tuple[str, str]] = []
        for short, value in self.subject.items():
            pairs += [(short, one) for one in ((value,) if isinstance(value, str) else value)]
        return check_attributes(tuple(pairs))


_MADE: Final = frozenset({Act.ROOT, Act.ISSUING_CA, Act.ROLL_OVER, Act.REQUEST})
_UNDER_OURS: Final = frozenset({Act.ISSUING_CA, Act.ROLL_OVER, Act.CROSS_CERTIFICATE})
_SIGNED: Final = _UNDER_OURS | {Act.ROOT}
_NEEDED: Final[Mapping[str, frozenset[Act]]] = {
    "subject": _MADE,
    "key_algorithm": _MADE,
    "key": _MADE,
    "signature": _MADE,
    "issuer": _UNDER_OURS,
    "profile": _SIGNED,
    "path_length": _SIGNED,
    "not_before": _SIGNED,
    "not_after": _SIGNED,
    "validity_days": _SIGNED,
    "serial": _SIGNED,
    "other_ca": frozenset({Act.CROSS_CERTIFICATE}),
    "succeeds": frozenset({Act.ROLL_OVER}),
    "takes_over_at": frozenset({Act.ROLL_OVER}),
}
_OPTIONAL: Final = frozenset(
    {
        "key",
        "signature",
        "profile",
        "path_length",
        "not_before",
        "not_after",
        "validity_days",
        "serial",
    }
)


class Lock(BaseModel):
    """What `ceremony keys` drew for one ceremony file. Nothing in it is secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    file_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    serial: str = Field(pattern=_SERIAL)
    not_before: datetime
    not_after: datetime
    key: str | None
    """The reference of our new key; None: the key is the other CA's."""
    public_key: str = Field(pattern=r"^([0-9a-f]{2})+$", max_length=20_000)
    """DER SubjectPublicKeyInfo that is certified, hex."""


@dataclass(frozen=True, slots=True)
class Ceremony:
    """A ceremony file, read."""

    text: str
    description: Description

    @property
    def digest(self) -> str:
        """SHA-256 of the file, lowercase hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def parse_ceremony(octets: bytes) -> Ceremony:
    """Read a ceremony file. Raises `Malformed` that names the field, or `TooLarge`."""
    if len(octets) > MAX_FILE_OCTETS:
        raise TooLarge(f"a ceremony file has at most {MAX_FILE_OCTETS} octets")
    try:
        text = octets.decode("utf-8")
        tree = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Malformed(f"the ceremony file is not TOML: {error}") from error
    try:
        return Ceremony(text, Description.model_validate(tree))
    except ValidationError as error:
        raise Malformed(f"the ceremony file: {_faults(error)}") from error


def parse_lock(octets: bytes) -> Lock:
    """Read a lock file. Raises `Malformed`."""
    try:
        return Lock.model_validate_json(octets[: MAX_FILE_OCTETS + 1])
    except ValidationError as error:
        raise Malformed(
            f"the lock file is damaged ({_faults(error)}): remove it and run `ceremony keys` again"
        ) from error


def instants(
    description: Description,
    *,
    days: int,
    backdate: timedelta,
    now: datetime,
    ends: datetime | None,
) -> tuple[datetime, datetime]:
    """Return the validity of a ceremony: as the file says, else `days` from now.

    `ends`: the end of the issuer's certificate, beyond which nothing drawn here reaches.
    """
    begin = description.not_before or now.replace(microsecond=0) - backdate
    days = description.validity_days or days
    end = description.not_after or begin + backdate + timedelta(days=days, seconds=-1)
    if description.not_after is None and ends is not None:
        end = min(end, ends)
    return begin, end


def _faults(error: ValidationError) -> str:
    return "; ".join(
        ": ".join(filter(None, (".".join(str(step) for step in item["loc"]), item["msg"])))
        for item in error.errors(include_input=False, include_url=False)
    )
