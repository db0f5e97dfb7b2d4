"""Every match of a search as one table: CSV, or a workbook for people with spreadsheets."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import IO, Final, Literal

from fastapi import Response
from fastapi.responses import StreamingResponse

from ca.schemas import CertificateView
from ca.store import CertificateQuery, CertificateStore, Page
from core.errors import TooLarge

TableFormat = Literal["csv", "xlsx"]
TABLE_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
MAX_SHEET_ROWS: Final = 1_048_576
"""Of one worksheet (ECMA-376); the heading is one of them."""
_PAGE: Final = 1000
_CHUNK: Final = 65_536
_COLUMNS: Final = (
    "issuer",
    "serial",
    "state",
    "profile",
    "subject",
    "not_before",
    "not_after",
    "fingerprint",
    "requester",
    "issued_at",
    "revoked_at",
    "reason",
)


def table(
    store: CertificateStore, query: CertificateQuery, form: TableFormat, *, sort: str | None
) -> Response:
    """Send every match. Raises `TooLarge` when a worksheet cannot hold them: CSV can."""
    # The first page is read here: an error of it is still an answer and not half a table.
    first = store.search_certificates(query, limit=_PAGE, sort=sort)
    rows = _rows(store, query, first, sort)
    body = (csv_line(row) for row in rows) if form == "csv" else _chunks(workbook(rows))
    return StreamingResponse(
        body,
        media_type=TABLE_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="certificates.{form}"'},
    )


def workbook(rows: Iterator[tuple[str, ...]]) -> IO[bytes]:
    """Write rows, the heading first, into a temporary file without a name. All cells are text."""
    from openpyxl import Workbook  # noqa: PLC0415 - a third of a second, for what few ask for

    book = Workbook(write_only=True)
    sheet = book.create_sheet("certificates")
    for row in islice(rows, MAX_SHEET_ROWS):
        sheet.append(row)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - `_chunks` closes it
    book.save(file)
    if next(rows, None) is not None:
        file.close()
        raise TooLarge("more rows than a worksheet holds (1,048,576): ask for csv, or for less")
    file.seek(0)
    return file


def _rows(
    store: CertificateStore, query: CertificateQuery, page: Page, sort: str | None
) -> Iterator[tuple[str, ...]]:
    yield _COLUMNS
    while True:
        for record in page.items:
            fields = CertificateView.of(record).model_dump(mode="json")
            yield tuple(cell(fields[name]) for name in _COLUMNS)
        if page.next_cursor is None:
            return
        page = store.search_certificates(query, cursor=page.next_cursor, limit=_PAGE, sort=sort)


def cell(value: str | None) -> str:
    """Return a value as one cell that no spreadsheet runs."""
    text = value or ""
    # Spreadsheets take such a cell for a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def csv_line(cells: tuple[str, ...]) -> str:
    """Return one line of a CSV table (RFC 4180)."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
