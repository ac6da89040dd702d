"""Tables as files: CSV, XLSX and NDJSON, written as they are sent. No text of a caller or visitor becomes a formula."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from xml.sax.saxutils import escape

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

Cell = str | int | float | datetime | None  # a moment has its reader's time zone
Rows = Sequence[Sequence[Cell]]

KINDS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ndjson": "application/x-ndjson; charset=utf-8",
}
XLSX_ROWS = 1_048_575  # what a sheet holds below its head (Excel's limit)
XLSX_TEXT = 32_767  # characters in a cell (Excel's limit)
XLSX_BYTES = 2_000_000_000  # of a sheet: beyond 2 GiB a ZIP file takes a form that Excel calls damaged
_DATE, _WIDE = "yyyy-mm-dd hh:mm:ss", 18
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - Excel's day 0, in no zone
_BOM = "\ufeff"  # tells Excel that this is UTF-8
_FORMULA = re.compile(
    r"(?:^|(?<=[,;\t\r\n]))(?=[=+\-@\t\r\n|%＝＋－＠])"
)  # at its beginning, or what may be taken for one
_NUMBER = re.compile(r"\+[0-9]{3,15}")  # a phone number is none
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LIKE_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")  # Excel reads _x0041_ as A


async def stream(
    kind: str, head: Sequence[str], blocks: AsyncIterator[Rows], sheet_rows: int = XLSX_ROWS
) -> AsyncIterator[bytes]:
    """A file of one of KINDS, block by block."""
    if kind == "xlsx":
        async for part in _xlsx(_Book(head, sheet_rows), blocks):
            yield part
        return
    if kind == "csv":
        yield (_BOM + _csv([head])).encode()
    async for rows in blocks:
        yield (_csv(rows) if kind == "csv" else _ndjson(head, rows)).encode()


def safe(cell: Cell) -> Cell:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it, amid a text too: where the comma
    is the decimal point, Excel parts cells at semicolons, and at line ends within them, whatever the file says."""
    if isinstance(cell, str) and not _NUMBER.fullmatch(cell):
        return _FORMULA.sub("'", cell)
    return _plain(cell)


def _plain(cell: Cell) -> str | int | float | None:
    return cell.isoformat(timespec="seconds") if isinstance(cell, datetime) else cell


def _csv(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def _ndjson(head: Sequence[str], rows: Rows) -> str:
    return "".join(
        json.dumps(dict(zip(head, map(_plain, row), strict=True)), ensure_ascii=False) + "\n" for row in rows
    )


# ---- XLSX: a ZIP file of XML, of which XlsxWriter makes everything but the rows, so that these need not wait on the disk


async def _xlsx(book: _Book, blocks: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    async for rows in blocks:
        await asyncio.to_thread(book.write, rows)
        yield book.sent.take()
    await asyncio.to_thread(book.close)
    yield book.sent.take()


class _Sent:
    """Where a ZIP file is written that cannot be turned back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def take(self) -> bytes:
        """What was written since."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class _Book:
    """Another sheet begins where one is full."""

    def __init__(self, head: Sequence[str], sheet_rows: int) -> None:
        self.sent = _Sent()
        self._head, self._sheet_rows = head, sheet_rows
        self._frame, self._moment = _frame(head, 2)
        self._letters = [xl_col_to_name(column) for column in range(len(head))]
        self._file = zipfile.ZipFile(self.sent, "w", zipfile.ZIP_DEFLATED, compresslevel=4)  # type: ignore[call-overload]
        self._sheets = 0
        self._next_sheet()

    def write(self, rows: Rows) -> None:
        for row in rows:
            if self._row > self._sheet_rows or self._bytes > XLSX_BYTES:
                self._end_sheet()
                self._next_sheet()
            self._row += 1
            self._put(self._xml(row))

    def close(self) -> None:
        self._end_sheet()
        frame, _moment = _frame(self._head, self._sheets)
        for name, data in frame.items():
            if not name.startswith("xl/worksheets/"):
                self._file.writestr(name, data)
        self._file.close()

    def _next_sheet(self) -> None:
        self._sheets += 1
        sheet = self._frame[f"xl/worksheets/sheet{min(self._sheets, 2)}.xml"].decode()
        before, self._after = re.sub("<dimension[^>]*>", "", sheet).split("</sheetData>")
        self._entry = self._file.open(f"xl/worksheets/sheet{self._sheets}.xml", "w")
        self._row, self._bytes = 1, 0
        self._put(before)

    def _end_sheet(self) -> None:
        self._put("</sheetData>" + self._after)
        self._entry.close()

    def _put(self, xml: str) -> None:
        self._bytes += self._entry.write(xml.encode())

    def _xml(self, row: Sequence[Cell]) -> str:
        cells = []
        for letters, cell in zip(self._letters, row, strict=True):
            if isinstance(cell, str):
                cells.append(
                    f'<c r="{letters}{self._row}" t="inlineStr"><is><t xml:space="preserve">{_text(cell)}</t></is></c>'
                )
            elif isinstance(cell, datetime):
                days = (cell.replace(tzinfo=None, microsecond=0) - _EPOCH).total_seconds() / 86_400
                cells.append(f'<c r="{letters}{self._row}" s="{self._moment}"><v>{days:.9f}</v></c>')
            elif cell is not None:
                cells.append(f'<c r="{letters}{self._row}"><v>{cell:.15g}</v></c>')
        return f'<row r="{self._row}">{"".join(cells)}</row>'


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("", _LIKE_ESCAPE.sub("_x005F_", text[:XLSX_TEXT])))


def _frame(head: Sequence[str], sheets: int) -> tuple[dict[str, bytes], int]:
    """(the parts of a book whose sheets have their heads alone, the number of the style of moments)."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    bold, moment = book.add_format({"bold": True}), book.add_format({"num_format": _DATE})
    number = 0
    for _ in range(sheets):
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(head) - 1, _WIDE)
        sheet.write_row(0, 0, head, bold)
        number = moment._get_xf_index()
    book.close()
    with zipfile.ZipFile(out) as file:
        return {name: file.read(name) for name in file.namelist()}, number
