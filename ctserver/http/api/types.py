"""Values that go in and out of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from ctserver.http.api.registry import Problem
from ctserver.storage.feed import LATEST


def iso(ms: int) -> str:
    """2026-01-31T12:00:00.000Z."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(value: object) -> object:
    """Epoch milliseconds, or ISO 8601; without a zone it is UTC."""
    if not isinstance(value, str):
        return value
    if value.isascii() and value.isdigit():
        return int(value[:16])
    try:
        found = datetime.fromisoformat(value)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError("not a time: write 2026-01-31T12:00:00Z, or epoch milliseconds") from None


def _possible(value: int) -> int:
    if not 0 <= value <= LATEST:
        raise ValueError("not between the years 1970 and 9999")
    return value


Time = Annotated[int, PlainSerializer(iso, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})]
"""Answered: epoch milliseconds within, ISO 8601 in UTC without."""

Moment = Annotated[
    int,
    BeforeValidator(_moment),
    AfterValidator(_possible),
    WithJsonSchema({"type": "string", "description": "ISO 8601 (UTC unless it names a zone), or epoch milliseconds"}),
]
"""Taken."""

START, END = 0, LATEST


def cursor(at: int, id: str) -> str:
    """A place in a list that is sorted by a time and an id."""
    return f"{at}.{id}"


def place(text: str, beginning: tuple[int, str]) -> tuple[int, str]:
    """What a cursor says; `beginning` without one. Raises Problem."""
    if not text:
        return beginning
    at, dot, id = text.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 16 and len(id) < 60 and id.isprintable()):
        raise Problem(400, "cursor: take it from an earlier answer, as it is")
    return int(at), id if dot else ""
