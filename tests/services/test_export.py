"""Tables as files: sent as they are written, whatever is in their cells."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from ctserver.services import export
from ctserver.services.export import Rows

SPACE = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
HEAD = ("id", "at", "text", "count", "share", "nothing")
AT = datetime(2026, 11, 22, 10, 30, 5, tzinfo=UTC)
MB = 1 << 20


class Table:
    """Blocks of a thousand rows, and how many were asked for."""

    def __init__(self, blocks: int) -> None:
        self.blocks, self.asked = blocks, 0

    async def rows(self) -> AsyncIterator[Rows]:
        while self.asked < self.blocks:
            self.asked += 1
            yield [(f"{self.asked}-{row}", AT, f"text {row * 7919}", row, row / 7, None) for row in range(1000)]


@pytest.mark.parametrize("kind", export.KINDS)
async def test_a_file_of_any_length_takes_the_same_memory_and_is_sent_as_it_is_read(kind: str) -> None:
    async def peak(blocks: int) -> tuple[int, int]:
        table, size, late = Table(blocks), 0, 0
        tracemalloc.start()
        async for part in export.stream(kind, HEAD, table.rows()):
            size += len(part)
            late = max(late, table.asked - size // 10_000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert late <= 4, "what is read is sent before more is read"
        return size, most

    short, long = await peak(2), await peak(16)
    assert long[0] > 6 * short[0]
    assert long[1] < 1.25 * short[1] < 8 * MB


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("=1+1", "'=1+1"),
        ("x;=cmd|' /C calc'!A0;y", "x;'=cmd|' /C calc'!A0;y"),
        ("x,+1", "x,'+1"),
        ("x\t@SUM(1)", "x\t'@SUM(1)"),
        ("x\n-2+3", "x\n'-2+3"),
        ("＝1+1", "'＝1+1"),
        ("+447700900123", "+447700900123"),
        ("red; green, 1 = 1", "red; green, 1 = 1"),
    ],
)
def test_no_cell_begins_a_formula_wherever_a_spreadsheet_parts_it(text: str, left: str) -> None:
    assert export.safe(text) == left


async def test_a_full_sheet_is_followed_by_another() -> None:
    parts = [part async for part in export.stream("xlsx", HEAD, Table(4).rows(), sheet_rows=1500)]
    book = zipfile.ZipFile(io.BytesIO(b"".join(parts)))
    assert book.testzip() is None
    names = [sheet.get("name") for sheet in parsed(book, "xl/workbook.xml").findall(".//x:sheet", SPACE)]
    assert names == ["Sheet1", "Sheet2", "Sheet3"]
    rows = [len(parsed(book, f"xl/worksheets/sheet{place}.xml").findall(".//x:row", SPACE)) for place in (1, 2, 3)]
    assert rows == [1501, 1501, 1001]
    shown = [b"tabSelected" in book.read(f"xl/worksheets/sheet{place}.xml") for place in (1, 2, 3)]
    assert shown == [True, False, False], "only one is at the front"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("=1+1", "=1+1"),
        ("<&>\"'", "<&>\"'"),
        ("a\x00b\x0bc\ud800d\uffff", "abcd"),
        ("_x0041_", "_x005F_x0041_"),
        (" two  spaces ", " two  spaces "),
        ("x" * 40_000, "x" * 32_767),
    ],
)
async def test_text_stays_text_in_a_sheet(text: str, read: str) -> None:
    async def rows() -> AsyncIterator[Rows]:
        yield [(text,)]

    book = zipfile.ZipFile(io.BytesIO(b"".join([part async for part in export.stream("xlsx", ("text",), rows())])))
    sheet = parsed(book, "xl/worksheets/sheet1.xml")
    assert sheet.findtext(".//x:row[@r='2']/x:c/x:is/x:t", None, SPACE) == read
    assert sheet.findall(".//x:f", SPACE) == []


def parsed(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(book.read(name))
