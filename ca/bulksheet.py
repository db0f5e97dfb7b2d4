"""Reading the one sheet of an XLSX file, as little of it as possible.

An XLSX file is a ZIP of XML: a kilobyte can unfold to gigabytes, and XML can define entities. So
sizes are counted while unfolding, and document types refused, before openpyxl sees the file.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from core.errors import Malformed, TooLarge

MAX_PARTS: Final = 200
MAX_UNFOLDED: Final = 64 * 1024 * 1024
MAX_RATIO: Final = 200
"""Unfolded octets for one of the file. Ten thousand equal rows reach 30."""
_CHUNK: Final = 1024 * 1024
_UNREADABLE: Final = "the file is not a readable XLSX workbook"


def read_sheet(octets: bytes, *, max_columns: int) -> Iterator[Sequence[object]]:
    """Return the rows of the only sheet; a formula is its text. Raises `Malformed`, `TooLarge`."""
    _check_archive(octets)
    from openpyxl import load_workbook  # noqa: PLC0415 - a third of a second, for what few send

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions that nobody asked for
            book = load_workbook(io.BytesIO(octets), read_only=True, keep_links=False)
        sheets = book.worksheets
        if len(sheets) == 1:
            sheets[0].reset_dimensions()  # what it says of its own size may be wrong
            for row in sheets[0].iter_rows(max_col=max_columns + 1, values_only=True):
                yield _trimmed(row)
    except Exception as error:  # openpyxl raises whatever the XML makes it stumble over
        raise Malformed(_UNREADABLE) from error
    if len(sheets) != 1:
        raise Malformed(f"the workbook has {len(sheets)} sheets: leave the one to be read")


def _trimmed(row: Sequence[object]) -> Sequence[object]:
    """Return the row without the empty cells at its end: openpyxl fills it up."""
    used = max((place for place, cell in enumerate(row, start=1) if cell is not None), default=0)
    return row[:used]


def _check_archive(octets: bytes) -> None:
    limit = min(MAX_UNFOLDED, MAX_RATIO * len(octets))
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS:
                raise TooLarge(f"the workbook has more than {MAX_PARTS} parts")
            for part in parts:
                limit -= _check_part(archive, part, limit)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError) as error:
        raise Malformed(_UNREADABLE) from error


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, limit: int) -> int:
    """Return the unfolded size of one part. Raises `Malformed` or `TooLarge`."""
    size, tail = 0, b""
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise TooLarge(
                    f"the workbook unfolds to more than {MAX_UNFOLDED >> 20} MiB, "
                    f"or {MAX_RATIO} times its size"
                )
            if _declares(tail + chunk):
                raise Malformed("the workbook holds an XML document type")
            tail = chunk[-32:]
    return size


def _declares(octets: bytes) -> bool:
    plain = octets.replace(b"\0", b"")  # UTF-16 is XML, too
    return b"<!" in plain and any(word in plain.upper() for word in (b"<!DOCTYPE", b"<!ENTITY"))
