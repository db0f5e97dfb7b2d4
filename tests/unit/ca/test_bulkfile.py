"""The table of a bulk request: what is read, and every way it is refused."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import pytest
from openpyxl import Workbook

from ca.bulkfile import Row, parse_file
from ca.bulksheet import MAX_PARTS
from core.errors import Malformed, TooLarge
from tests.unit.ca.csrs import make_csr, pem

IDENTITY = ("residentIdentityCard",)


def parse(octets: bytes | str, rows: int = 100) -> tuple[Row, ...]:
    given = octets.encode() if isinstance(octets, str) else octets
    return parse_file(given, identity=IDENTITY, max_rows=rows)


def book(*rows, sheets: int = 1) -> bytes:
    workbook, out = Workbook(), io.BytesIO()
    for row in rows:
        workbook.active.append(row)
    for _ in range(sheets - 1):
        workbook.create_sheet().append(["CN"])
    workbook.save(out)
    return out.getvalue()


def with_part(octets: bytes, name: str, content: bytes) -> bytes:
    out = io.BytesIO(octets)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def test_csv_and_xlsx_give_the_same_rows() -> None:
    expected = (
        Row(2, (("CN", "张三"), ("OU", "办公室"), ("OU", "二科"), ("email", "a@example.test"))),
        Row(4, (("CN", "李四"), ("residentIdentityCard", "11010119900307783X"))),
    )
    text = (
        "\ufeff姓名,部门,OU,邮箱,身份证号\r\n"
        "张三,办公室,二科,a@example.test,\r\n"
        ",,,,\r\n"
        "李四,,,,11010119900307783X\r\n"
    )
    assert parse(text) == expected
    header = ["cn", "OU", "ou", "Email", "residentIdentityCard"]
    first, third = ["张三", "办公室", "二科", "a@example.test"], ["李四", None, None, None]
    assert parse(book(header, first, [None], [*third, "11010119900307783X"])) == expected


def test_a_whole_number_in_a_spreadsheet_is_its_digits() -> None:
    assert parse(book(["CN", "serialNumber"], ["a", 1234567]))[0].cells[1][1] == "1234567"
    assert parse(book(["CN", "serialNumber"], ["a", 7.0]))[0].cells[1][1] == "7"


def test_a_csr_may_stand_in_a_cell() -> None:
    csr = pem(make_csr()).decode()
    (row,) = parse(f'CN,csr\n设备,"{csr}"\n')
    assert dict(row.cells)["csr"] == csr.strip()


@pytest.mark.parametrize(
    ("octets", "error", "says"),
    [
        ("", Malformed, "must name its columns"),
        ("CN\n", Malformed, "no row below"),
        ("CN,colour\na,b\n", Malformed, "column 2 .* 'colour'"),
        ("CN,cn\na,b\n", Malformed, "names CN twice"),
        ("CN\na,b\n", Malformed, "row 2 has more cells"),
        ('CN\n"a\n', Malformed, "not CSV"),
        ("CN\na\0b\n", Malformed, "NUL"),
        ("CN\n=1+1\n", Malformed, "row 2, CN begins like a formula"),
        ("CN\n@SUM(A1)\n", Malformed, "formula"),
        ("CN\n-1+1\n", Malformed, "formula"),
        ("CN\n" + "a" * 20_000, TooLarge, "row 2, CN has more than"),
        ("CN\n" + "a\n" * 101, TooLarge, "more than 100 rows"),
        (",".join(["OU"] * 41) + "\n", TooLarge, "more than 40 columns"),
        ("姓名\n张三\n".encode("gb18030"), Malformed, "UTF-8"),
        (book(["CN"], ["=1+1"]), Malformed, "formula"),
        (book(["CN"], [110101199003077834.0]), Malformed, "lost digits"),
        (book(["CN"], [1.5]), Malformed, "lost digits"),
        (book(["CN"], [True]), Malformed, "truth value"),
        (book(["CN"], [datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)]), Malformed, "date"),
        (book(["CN"], ["a"], sheets=2), Malformed, "2 sheets"),
        (b"PK\x03\x04 no archive", Malformed, "not a readable XLSX"),
        (with_part(book(["CN"], ["a"]), "x.bin", bytes(80 << 20)), TooLarge, "unfolds"),
        (
            with_part(book(["CN"], ["a"]), "x.xml", b'<?xml version="1.0"?><!DOCTYPE a>'),
            Malformed,
            "document type",
        ),
        (
            with_part(book(["CN"], ["a"]), "x.xml", "<!ENTITY a 'b'>".encode("utf-16")),
            Malformed,
            "document type",
        ),
    ],
)
def test_what_cannot_be_read_is_named(octets, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        parse(octets)


def test_an_archive_of_many_parts_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(MAX_PARTS + 1):
            archive.writestr(f"{number}.xml", b"")
    with pytest.raises(TooLarge, match="parts"):
        parse(out.getvalue())


def test_an_archive_that_is_no_workbook_is_refused() -> None:
    with pytest.raises(Malformed, match="not a readable XLSX"):
        parse(with_part(b"", "hello.txt", b"hello"))
