"""What a work queue holds: the authority's, and that of a desk apart (a registration authority).

Both are the same pages. The states of a request differ, and what is shown of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Record = Mapping[str, Any]
FILES: Final = ("chain", "encryption_chain", "enveloped_key")
"""What a desk was given for a request, for its subscriber."""
DESK_ACTS: Final = ("renew", "rekey", "reissue", "hold", "release", "revoke")
"""What a desk asks for about a certificate. Its state is the authority's to know."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The requests of one kind of process."""

    apart: bool
    """Of a desk: the certificate authority is another process, and answers later."""
    states: tuple[str, ...]
    waiting: tuple[str, ...]
    """States in which somebody has to do something; on the overview."""
    gave: str
    """The state of what gave a certificate."""
    rejectable: tuple[str, ...]
    operations: tuple[str, ...]
    """By which it can be searched, with subject and serial number; none where it cannot."""
    columns: tuple[str, ...]
    """Of the export."""
    line: Callable[[Record], dict[str, Any]]
    """Return a request as the list has it: its subject is text."""
    asked: Callable[[Record], dict[str, Any]]
    """Return what a request asks for: issuer, subject, names, days, reason."""


def subject_text(attributes: Sequence[Mapping[str, str]]) -> str:
    """Return a distinguished name as people read it: the common name first."""
    common = [one["value"] for one in attributes if one["type"] == "CN"]
    rest = [f"{one['type']}={one['value']}" for one in attributes if one["type"] != "CN"]
    return ", ".join([*common, *rest]) or "—"


def _full_text(attributes: Sequence[Mapping[str, str]]) -> str:
    return ", ".join(f"{one['type']}={one['value']}" for one in attributes)


def _line(record: Record) -> dict[str, Any]:
    return {**record, "subject": subject_text(record["subject"])}


def _asked(record: Record) -> dict[str, Any]:
    return {**record, "subject": _full_text(record["subject"])}


def _line_of_desk(record: Record) -> dict[str, Any]:
    serial = _number(record)
    return {**record, "subject": record["subject"] or serial or "—", "serial": serial}


def _asked_of_desk(record: Record) -> dict[str, Any]:
    asked = record["asked"]
    subject = _full_text(asked["subject"]) or record["subject"] or _number(record) or "—"
    return {**asked, "subject": subject}


def _number(record: Record) -> str | None:
    """Return the number of the certificate that is acted upon, where its subject is not known."""
    named = record["certificate"] or record["target"]
    return None if named is None else str(named["serial"])


AUTHORITY: Final = Queue(
    apart=False,
    states=("pending", "reviewed", "awaiting-pickup", "approved", "issued", "done", "rejected"),
    waiting=("pending", "reviewed", "awaiting-pickup"),
    gave="issued",
    rejectable=("pending",),
    operations=(),
    columns=("id", "state", "operation", "profile", "subject", "requester", "created_at"),
    line=_line,
    asked=_asked,
)
DESK: Final = Queue(
    apart=True,
    states=("pending", "awaiting-pickup", "sent", "done", "refused", "rejected"),
    waiting=("pending", "awaiting-pickup", "sent"),
    gave="done",
    rejectable=("pending", "awaiting-pickup"),
    operations=("apply", "renew", "rekey", "reissue", "freeze", "unfreeze", "revoke"),
    columns=(
        *("id", "state", "operation", "profile", "subject", "serial", "not_after", "requester"),
        *("created_at", "comment"),
    ),
    line=_line_of_desk,
    asked=_asked_of_desk,
)
