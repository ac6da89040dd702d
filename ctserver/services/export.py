"""Tables as files: CSV, XLSX and NDJSON, written row by row. No text of a caller or visitor becomes a formula."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import xlsxwriter

Cell = str | int | float | None
Rows = Sequence[Sequence[Cell]]

KINDS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ndjson": "application/x-ndjson; charset=utf-8",
}
XLSX_ROWS = 1_048_575  # what a sheet holds below its head (Excel's limit)
XLSX_TEXT = 32_767  # characters in a cell (Excel's limit)
_BOM = "\ufeff"  # tells Excel that this is UTF-8
_FORMULA = re.compile(r"[=+\-@\t\r\n|%]")
_NUMBER = re.compile(r"\+[0-9]{3,15}")  # a phone number is none


async def text(kind: str, head: Sequence[str], blocks: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    """A CSV or NDJSON file, block by block."""
    if kind == "csv":
        yield (_BOM + _csv([head])).encode()
    async for rows in blocks:
        yield (_csv(rows) if kind == "csv" else _ndjson(head, rows)).encode()


async def xlsx(path: Path, head: Sequence[str], blocks: AsyncIterator[Rows]) -> None:
    """An XLSX file at `path`; what a sheet cannot hold is left out."""
    book = xlsxwriter.Workbook(
        str(path), {"constant_memory": True, "tmpdir": str(path.parent), "strings_to_urls": False}
    )
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, head, book.add_format({"bold": True}))
    done = 0
    async for rows in blocks:
        rows = rows[: XLSX_ROWS - done]
        await asyncio.to_thread(_write, sheet, done + 1, rows)
        done += len(rows)
    await asyncio.to_thread(book.close)


def safe(cell: Cell) -> Cell:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def _csv(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def _ndjson(head: Sequence[str], rows: Rows) -> str:
    return "".join(json.dumps(dict(zip(head, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)


def _write(sheet: xlsxwriter.worksheet.Worksheet, first: int, rows: Rows) -> None:
    for place, row in enumerate(rows, first):
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                sheet.write_string(place, column, cell[:XLSX_TEXT])
            elif cell is not None:
                sheet.write_number(place, column, cell)
