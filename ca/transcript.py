"""The transcript of a ceremony: JSON lines, signed by the audit key, verified without us.

The last line signs every octet before it. What it is verified with is public: the audit key's
public half, and the certificates that stand in the transcript itself.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ca.ceremony import Act, parse_ceremony, parse_lock
from ca.ceremony_plan import Plan, hashes_of, read_certificate, subject_of
from ca.ceremony_run import Made
from core import der
from core.errors import Malformed, Refused, TooLarge
from keystore.algorithms import SignatureAlgorithm, signature_algorithm
from keystore.backend import Signer
from keystore.verify import verify_signature

MAX_OCTETS: Final = 1_048_576
FORMAT: Final = "yinxin-ceremony-1"
_DOMAIN: Final = b"yinxin ceremony transcript\n"
"""In front of what is signed: no checkpoint and no certificate begins with it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a transcript proves."""

    act: Act
    name: str
    plan: str
    tbs_sha256: str
    fingerprint: str | None
    """SHA-256 of the certificate; None for a request."""
    key_fingerprint: str
    """SHA-256 of the SubjectPublicKeyInfo that signed the transcript."""


def write_transcript(
    plan: Plan,
    made: Made,
    *,
    lock: str,
    steps: Sequence[Mapping[str, Any]],
    versions: Mapping[str, str],
    actor: str,
    now: datetime,
    signer: Signer,
) -> str:
    """Return the whole transcript. `steps` are what was done, each with its time, in order."""
    description = plan.ceremony.description
    lines: list[Mapping[str, Any]] = [
        {
            "what": "ceremony",
            "format": FORMAT,
            "act": description.act,
            "name": description.name,
            "by": actor,
            "at": _text(now),
            "versions": dict(versions),
            "file": plan.ceremony.text,
            "file_sha256": plan.ceremony.digest,
            "lock": lock,
            "plan": plan.digest,
        },
        *({"what": "step", **step} for step in steps),
        {"what": "signed", **hashes_of(plan.tbs), "result": _base64(made.der)},
    ]
    if made.certificate is not None:
        lines.append({"what": "issuer", "certificate": _base64(made.signed_by)})
    body = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    seal = {
        "what": "signature",
        "key": signer.key.public_key.hex(),
        "algorithm": signer.algorithm,
        "signature": signer.sign(_DOMAIN + body.encode()).hex(),
    }
    return body + json.dumps(seal) + "\n"


def verify_transcript(octets: bytes, *, audit_key: bytes | None = None) -> Verified:
    """Prove a transcript. `audit_key`: the SubjectPublicKeyInfo that must have signed it.

    Raises `Malformed`, `InvalidSignature` or `Refused`, which say what does not hold.
    """
    if len(octets) > MAX_OCTETS:
        raise TooLarge(f"a transcript has at most {MAX_OCTETS} octets")
    body, lines = _split(octets)
    head, seal = lines[0], lines[-1]
    try:
        key = bytes.fromhex(seal["key"])
        verify_signature(
            key,
            SignatureAlgorithm(seal["algorithm"]),
            _DOMAIN + body,
            bytes.fromhex(seal["signature"]),
        )
        if audit_key is not None and key != audit_key:
            raise Refused("the transcript is signed by another key than the audit key given")
        return _proved(head, lines, hashlib.sha256(key).hexdigest())
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Malformed(f"the transcript is damaged: {type(error).__name__} {error}") from error


def _proved(head: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], key: str) -> Verified:
    if head["format"] != FORMAT:
        raise Refused(f"the transcript has the format {head['format']!r}, not {FORMAT}")
    ceremony = parse_ceremony(head["file"].encode())
    _same("file_sha256", head["file_sha256"], ceremony.digest)
    lock = parse_lock(head["lock"].encode())
    _same("the lock's file", lock.file_sha256, ceremony.digest)
    signed = next(line for line in lines if line["what"] == "signed")
    result = b64decode(signed["result"], validate=True)
    tbs, identifier, signature = der.split_signed(result, what="what was signed")
    for name, value in hashes_of(tbs).items():
        _same(name, signed[name], value)
    plan = Plan(ceremony, tbs, None)
    _same("plan", head["plan"], plan.digest)
    act = ceremony.description.act
    by = bytes.fromhex(lock.public_key)
    if act not in (Act.ROOT, Act.REQUEST):
        issuer = next(line for line in lines if line["what"] == "issuer")
        by = subject_of(read_certificate(b64decode(issuer["certificate"], validate=True))).spki
    if bytes.fromhex(lock.public_key) not in tbs:
        raise Refused(
            "the transcript does not hold: the key that was drawn is not in what was signed"
        )
    verify_signature(by, signature_algorithm(identifier), tbs, signature)
    return Verified(
        act=act,
        name=ceremony.description.name,
        plan=plan.digest,
        tbs_sha256=hashlib.sha256(tbs).hexdigest(),
        fingerprint=None if act is Act.REQUEST else hashlib.sha256(result).hexdigest(),
        key_fingerprint=key,
    )


def _split(octets: bytes) -> tuple[bytes, list[Mapping[str, Any]]]:
    body, _, last = octets.removesuffix(b"\n").rpartition(b"\n")
    try:
        lines = [json.loads(line) for line in (*body.split(b"\n"), last)]
    except ValueError as error:
        raise Malformed("the transcript is not lines of JSON") from error
    if len(lines) < 3 or not all(isinstance(line, dict) and "what" in line for line in lines):
        raise Malformed("the transcript is not a ceremony's")
    if lines[0]["what"] != "ceremony" or lines[-1]["what"] != "signature":
        raise Malformed("the transcript has no beginning or no signature")
    return body + b"\n", lines


def _same(what: str, said: object, found: object) -> None:
    if said != found:
        raise Refused(f"the transcript does not hold: {what} says {said}, and it is {found}")


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode()


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
