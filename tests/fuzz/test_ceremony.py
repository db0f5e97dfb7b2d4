"""Any octets: what a ceremony and a key backup read parses, or says one of our words."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from ca.ceremony import parse_ceremony, parse_lock
from ca.ceremony_plan import read_certificate, read_other_ca
from ca.nameconstraints import encode_constraints, parse_subtree
from ca.transcript import verify_transcript
from core.errors import TrustError
from keystore.backup import parse_backup, parse_share

PARSERS = (
    parse_ceremony,
    parse_lock,
    read_other_ca,
    read_certificate,
    verify_transcript,
    parse_backup,
    parse_share,
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=10,
)
_FIELDS = ("act", "name", "subject", "key", "serial", "not_after", "path_length", "issuer")


@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    for parse in PARSERS:
        with suppress(TrustError):
            parse(octets)


@given(st.lists(_JSON, max_size=4))
def test_any_json_lines_are_no_transcript(values: list[object]) -> None:
    ends = [{"what": "ceremony", "format": "x"}, {"what": "signature", "key": "00"}]
    for lines in (values, [ends[0], *values, ends[1]]):
        with suppress(TrustError):
            verify_transcript("".join(json.dumps(line) + "\n" for line in lines).encode())


@given(st.dictionaries(st.sampled_from(_FIELDS), st.text(max_size=30) | st.integers()))
def test_any_fields_of_a_ceremony(fields: dict[str, object]) -> None:
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())
    with suppress(TrustError):
        parse_ceremony(text.encode())


@given(st.sampled_from(("dns", "ip", "email", "uri", "directory", "")), st.text(max_size=40))
def test_any_subtree_is_written_or_refused(kind: str, value: str) -> None:
    text = f"{kind}:{value}"
    with suppress(TrustError):
        parse_subtree(text)
        assert encode_constraints((text,), ()) is not None
