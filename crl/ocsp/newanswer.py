"""An answer on its way into the store: its block, its key, and when it is to be made anew."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from ca.packedstatus import KEY_OCTETS
from crl.config import OCSPConfig
from crl.ocsp.answer import Answer
from crl.ocsp.block import encode_block
from crl.ocsp.store import NewAnswer

_JITTER: Final = 0.05


def new_answer(
    answer: Answer,
    key: bytes,
    *,
    tail: bytes,
    responder: int,
    ticket: int,
    config: OCSPConfig,
    now: datetime,
) -> NewAnswer:
    """Return an answer as the store takes it, under `key`.

    `tail` is what its octets end with (`certificate_tail`), `responder` the number of its own.
    """
    block = encode_block(
        answer,
        responder=responder,
        tail=tail,
        refresh_at=_refresh_at(answer),
        config=config,
        now=now,
    )
    return NewAnswer(
        status_key=key[:KEY_OCTETS],
        key=key,
        octets=block,
        produced_at=int(answer.produced_at.timestamp()),
        ticket=ticket,
    )


def _refresh_at(answer: Answer) -> datetime:
    """Return half of its life, give or take: what was signed at once is not renewed at once."""
    life = (answer.next_update - answer.produced_at).total_seconds()
    share = 0.5 + _JITTER * (secrets.randbelow(2001) - 1000) / 1000
    return answer.produced_at + timedelta(seconds=life * share)
