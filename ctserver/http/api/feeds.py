"""Flat lists for spreadsheets and dashboards (Excel, Power BI, Grafana, Metabase): every call that fits, in one answer."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from ctserver.http import audit
from ctserver.http.api import models
from ctserver.http.api.calls import CallFilter, as_calls
from ctserver.http.api.registry import Asked, Nothing, operation
from ctserver.services import export
from ctserver.storage import feed

CHUNK = 500
COLUMNS = list(models.Call.model_fields)


class CsvQuery(CallFilter):
    separator: Literal[",", ";"] = Field(default=",", description="; for Excel where the comma is the decimal point")
    bom: bool = Field(default=False, description="Excel sees by it that this is UTF-8")


@operation("GET", "/feeds/calls.json", "All calls as one JSON array, the oldest first", part="Feeds", takes=CallFilter)
async def calls_json(asked: Asked[CallFilter, Nothing]) -> web.StreamResponse:
    return await _stream(asked, "application/json", _json(_pages(asked)))


@operation(
    "GET", "/feeds/calls.csv", "All calls as CSV, the oldest first", part="Feeds", takes=CsvQuery, kind="text/csv"
)
async def calls_csv(asked: Asked[CsvQuery, Nothing]) -> web.StreamResponse:
    query = asked.query
    return await _stream(asked, "text/csv", _csv(_pages(asked), query.separator, "\ufeff" if query.bom else ""))


async def _pages(asked: Asked[Any, Nothing]) -> AsyncIterator[list[models.Call]]:
    wanted = asked.query.wanted(asked.deps, asked.scope)
    place, more = (-1, ""), True
    while more:
        found = await feed.oldest(asked.deps.db, asked.scope, wanted, place, CHUNK)
        yield await as_calls(asked.deps, asked.scope, found.rows)
        place, more = found.place, found.more


async def _stream(asked: Asked[Any, Nothing], kind: str, parts: AsyncIterator[str]) -> web.StreamResponse:
    asked.query.wanted(asked.deps, asked.scope)  # refuses before anything is sent
    await audit.write(asked.request, "exported", asked.request.path, audit.asked(asked.request), once=True)
    response = web.StreamResponse(headers={"Cache-Control": "private, no-store"})
    response.content_type, response.charset = kind, "utf-8"
    response.enable_compression()
    await response.prepare(asked.request)
    async for part in parts:
        await response.write(part.encode())
    return response


async def _json(pages: AsyncIterator[list[models.Call]]) -> AsyncIterator[str]:
    before = "["
    async for page in pages:
        for call in page:
            yield before + call.model_dump_json()
            before = ",\n"
    yield "[]" if before == "[" else "]"


async def _csv(pages: AsyncIterator[list[models.Call]], separator: str, start: str) -> AsyncIterator[str]:
    yield start + _line(COLUMNS, separator)
    async for page in pages:
        yield "".join(
            _line([_cell(value) for value in call.model_dump(mode="json").values()], separator) for call in page
        )


def _line(cells: list[str], separator: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerow(cells)
    return out.getvalue()


def _cell(value: object) -> str:
    """As a spreadsheet may have it: what strangers wrote is no formula there."""
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(export.safe(value) if isinstance(value, str) else value)
