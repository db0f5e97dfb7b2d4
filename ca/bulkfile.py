"""The table of a bulk request: a CSV or XLSX file into rows of text. Knows no profile.

The first row names the columns. Everything is text: a spreadsheet that turned an identity card
number into a float has lost digits, and is refused with the place where it did.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Final

from ca.altnames import AlternativeNameKind
from ca.bulksheet import read_sheet
from ca.names import ATTRIBUTE_TYPES
from core.errors import Malformed, TooLarge

MAX_CELL: Final = 16_384
"""Characters: a CSR with an RSA key of 4096 bits has 1,800."""
MAX_COLUMNS: Final = 40
CSR: Final = "csr"
VALIDITY_DAYS: Final = "validity_days"
_REPEATED: Final = frozenset({"OU", "DC"})
_PLAIN: Final = (*ATTRIBUTE_TYPES, *AlternativeNameKind, CSR, VALIDITY_DAYS)
_CHINESE: Final = {
    "国家": "C",
    "省": "ST",
    "市": "L",
    "单位": "O",
    "部门": "OU",
    "职务": "title",
    "姓名": "CN",
    "设备名称": "CN",
    "编号": "serialNumber",
    "邮箱": "email",
    "域名": "dns",
    "身份证号": "residentIdentityCard",
    "证书请求": CSR,
    "有效天数": VALIDITY_DAYS,
}
"""What officials write at the head of a column, for what it is called here."""
_EXACT: Final = 10**15
"""A spreadsheet's numbers are floats: beyond 15 digits they are not what was typed."""
_FORMULA: Final = re.compile(r"[=+@\t\r]|-(?!----BEGIN )")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    number: int
    """As a spreadsheet counts: the header is 1."""
    cells: tuple[tuple[str, str], ...]
    """(Column, text) of the cells that are not empty."""


def parse_file(octets: bytes, *, identity: Sequence[str], max_rows: int) -> tuple[Row, ...]:
    """Parse a whole file; `identity` are the names of the profile's identity extensions.

    Raises `Malformed` or `TooLarge` that names the row and the column.
    """
    numbered = enumerate(read_table(octets, max_columns=MAX_COLUMNS), start=1)
    columns = _columns(next(numbered, (1, ()))[1], identity)
    rows: list[Row] = []
    for number, line in numbered:
        row = _row(number, line, columns)
        if not row.cells:
            continue
        if len(rows) == max_rows:
            raise TooLarge(f"the file has more than {max_rows} rows (bulk.max_rows)")
        rows.append(row)
    if not rows:
        raise Malformed("the file has no row below its header")
    return tuple(rows)


def read_table(octets: bytes, *, max_columns: int) -> Iterable[Sequence[object]]:
    """Return the lines of a CSV or XLSX file, header and all. Raises `Malformed`, `TooLarge`."""
    if octets.startswith(b"PK\x03\x04"):
        return read_sheet(octets, max_columns=max_columns)
    return _csv_lines(octets)


def _csv_lines(octets: bytes) -> Iterator[list[str]]:
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(
            "the file is neither XLSX nor text in UTF-8: save it as CSV UTF-8, or as XLSX"
        ) from error
    if "\0" in text:
        raise Malformed("the file holds NUL characters: it is no CSV")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise Malformed(f"line {reader.line_num} of the file is not CSV: {error}") from error


def _columns(header: Sequence[object], identity: Sequence[str]) -> tuple[str, ...]:
    if len(header) > MAX_COLUMNS:
        raise TooLarge(f"the file has more than {MAX_COLUMNS} columns")
    known = {name.lower(): name for name in (*_PLAIN, *identity)}
    found = []
    for position, cell in enumerate(header, start=1):
        text = _text(cell, 1, f"column {position}").strip()
        name = known.get(_CHINESE.get(text, text).lower())
        if name is None:
            raise Malformed(
                f"column {position} of the header, {text[:40]!r}, is not one of "
                f"{', '.join((*_PLAIN, *identity))}"
            )
        if name in found and name not in _REPEATED:
            raise Malformed(f"the header names {name} twice")
        found.append(name)
    if not found:
        raise Malformed("the first row of the file must name its columns")
    return tuple(found)


def _row(number: int, line: Sequence[object], columns: Sequence[str]) -> Row:
    if any(cell not in ("", None) for cell in line[len(columns) :]):
        raise Malformed(f"row {number} has more cells than the header has columns")
    cells = []
    for column, cell in zip(columns, line, strict=False):
        text = _text(cell, number, column).strip()
        if text:
            cells.append((column, text))
    return Row(number, tuple(cells))


def _text(cell: object, number: int, column: str) -> str:
    where = f"row {number}, {column}"
    if cell is None:
        return ""
    if isinstance(cell, bool | date | time):
        raise Malformed(f"{where} is a date or a truth value: format the column as text")
    if isinstance(cell, int | float):
        return _digits(cell, where)
    text = str(cell)
    if len(text) > MAX_CELL:
        raise TooLarge(f"{where} has more than {MAX_CELL} characters")
    if _FORMULA.match(text.lstrip(" ")) is not None:
        raise Malformed(f"{where} begins like a formula, with {text.lstrip(' ')[0]!r}")
    return text


def _digits(cell: Any, where: str) -> str:
    if cell != cell or abs(cell) >= _EXACT or int(cell) != cell:  # noqa: PLR0124 - NaN
        raise Malformed(f"{where} is a number that lost digits: format the column as text")
    return str(int(cell))
