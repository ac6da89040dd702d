"""A read-only OData v4 feed of calls for Excel and Power BI: $select, $top, paging, and $filter with `and` of comparisons. Whatever
else is asked is answered 501, so that the asking program does it itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import quoteattr

from aiohttp import web
from pydantic import ValidationError

from ctserver.http import audit
from ctserver.http.api.calls import CallFilter, as_calls
from ctserver.http.api.models import Call
from ctserver.http.api.registry import Problem
from ctserver.http.api.types import cursor, place
from ctserver.http.deps import DEPS, scope_of
from ctserver.storage import feed

PAGE = 1000
ROOT = "/odata/v4"
_TYPES = {"confidence": "Edm.Double", "recording": "Edm.Boolean"}
_INTEGERS = ("ring_seconds", "talk_seconds", "hangup_cause", "value")
_TIMES = ("arrived_at", "ringing_at", "answered_at", "ended_at", "updated_at")
COLUMNS = [name for name in Call.model_fields if name not in ("click_ids", "tags")]
_TERM = re.compile(r"\s*(\w+)\s+(eq|ge|gt|le|lt)\s+('(?:[^']|'')*'|[\w:.+-]+)\s*")
_AND = re.compile(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)")  # not within quotes
_TEXTS = ("site", "line", "did", "caller", "outcome", "source", "campaign")
_KNOWN = ("$select", "$top", "$filter", "$orderby", "$skiptoken", "$format", "api_key")


def add_routes(app: web.Application) -> None:
    app.router.add_get(ROOT + "/", service)
    app.router.add_get(ROOT + "/$metadata", metadata)
    app.router.add_get(ROOT + "/Calls", calls)


class _NotHere(Exception):
    """What this feed cannot do."""


async def service(request: web.Request) -> web.StreamResponse:
    found = [{"name": "Calls", "kind": "EntitySet", "url": "Calls"}]
    return _json({"@odata.context": f"{_base(request)}/$metadata", "value": found})


async def metadata(_request: web.Request) -> web.StreamResponse:
    columns = "".join(
        f'<Property Name={quoteattr(name)} Type="{_type(name)}" Nullable="{"false" if name == "id" else "true"}"/>'
        for name in COLUMNS
    )
    text = (
        '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
        '<edmx:DataServices><Schema Namespace="ctserver" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
        f'<EntityType Name="Call"><Key><PropertyRef Name="id"/></Key>{columns}</EntityType>'
        '<EntityContainer Name="Container"><EntitySet Name="Calls" EntityType="ctserver.Call"/></EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )
    return web.Response(text=text, content_type="application/xml", headers={"OData-Version": "4.0"})


async def calls(request: web.Request) -> web.StreamResponse:
    """The oldest first; by the last change where the filter asks for changes."""
    deps, scope, query = request.app[DEPS], scope_of(request), request.query
    try:
        columns, limit = _select(query.get("$select", "")), _top(query.get("$top", ""))
        filters, changed = _filters(query)
        wanted = filters.wanted(deps, scope)
        read, beginning = (feed.changed, (changed, "")) if changed is not None else (feed.oldest, (-1, ""))
        after = place(query.get("$skiptoken", ""), beginning)
    except _NotHere as reason:
        return _error(501, str(reason))
    except Problem as refused:
        return _error(refused.status, refused.detail)
    found = await read(deps.db, scope, wanted, after, min(PAGE, limit))
    shown = await as_calls(deps, scope, found.rows)
    body: dict[str, Any] = {
        "@odata.context": f"{_base(request)}/$metadata#Calls",
        "value": [call.model_dump(mode="json", include=columns) for call in shown],
    }
    if found.more and limit > len(shown):
        kept = {name: value for name, value in query.items() if name not in ("$skiptoken", "api_key", "$top")}
        if "$top" in query:
            kept["$top"] = str(limit - len(shown))
        body["@odata.nextLink"] = f"{_base(request)}/Calls?{urlencode({**kept, '$skiptoken': cursor(*found.place)})}"
    audit.describe(request, "exported", request.path, audit.asked(request))
    return _json(body)


def _filters(query: Mapping[str, str]) -> tuple[CallFilter, int | None]:
    """What $filter asks for; and the time of change after which, if it asks for changes. Raises _NotHere and Problem."""
    if unknown := [name for name in query if name not in _KNOWN]:
        raise _NotHere(f"{unknown[0][:40]} is not supported")
    if query.get("$orderby", "") not in ("", "arrived_at", "arrived_at asc"):
        raise _NotHere("calls come in the order of arrived_at")
    if query.get("$format", "json").partition(";")[0] not in ("json", "application/json"):
        raise _NotHere("the format is JSON")
    asked: dict[str, str | int] = {}
    for name, relation, literal in _terms(query.get("$filter", "")):
        key, value = _compared(name, relation, literal)
        if key in asked:
            raise _NotHere(f"$filter: {name} {relation} once only")
        asked[key] = value
    changed = asked.pop("changed", None)
    if changed is not None and "$orderby" in query:
        raise _NotHere("changes come in their own order")
    try:
        return CallFilter.model_validate(asked), None if changed is None else int(changed)
    except ValidationError as error:
        raise Problem(400, f"$filter: {error.errors()[0]['msg']}") from error


def _compared(name: str, relation: str, literal: str) -> tuple[str, str | int]:
    """What a comparison asks for: a field of CallFilter, or the time of change. "" would be any. Raises _NotHere and Problem."""
    if name in _TEXTS and relation == "eq" and literal.startswith("'") and literal != "''":
        return name, literal[1:-1].replace("''", "'")
    if name == "arrived_at" and relation in ("ge", "gt"):
        return "since", _time(literal) + (relation == "gt")
    if name == "arrived_at" and relation in ("le", "lt"):
        return "until", _time(literal) + (relation == "le")
    if name == "updated_at" and relation in ("ge", "gt"):
        return "changed", max(0, _time(literal) - (relation == "ge"))
    raise _NotHere(f"$filter: {name} {relation} is not supported")


def _terms(text: str) -> Iterator[tuple[str, str, str]]:
    """(property, relation, literal) of each comparison. Raises _NotHere."""
    for part in _AND.split(text.strip()) if text.strip() else []:
        found = _TERM.fullmatch(part.strip().removeprefix("(").removesuffix(")"))
        if found is None:
            raise _NotHere("$filter: comparisons joined by `and` only")
        yield found[1], found[2], found[3]


def _time(literal: str) -> int:
    try:
        return CallFilter.model_validate({"since": literal}).since
    except ValueError:
        raise Problem(400, f"$filter: {literal[:40]} is not a time") from None


def _select(text: str) -> set[str]:
    names = {name.strip() for name in text.split(",")} if text and text.strip() != "*" else set(COLUMNS)
    if unknown := names - set(COLUMNS):
        raise Problem(400, f"$select: there is no {sorted(unknown)[0][:40]!r}")
    return names


def _top(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise Problem(400, "$top: a number")
    return int(text[:9]) if text else 1 << 40


def _type(name: str) -> str:
    if name in _TIMES:
        return "Edm.DateTimeOffset"
    return "Edm.Int64" if name in _INTEGERS else _TYPES.get(name, "Edm.String")


def _base(request: web.Request) -> str:
    return request.app[DEPS].settings.server.public_url + ROOT


def _json(body: dict[str, Any]) -> web.Response:
    response = web.json_response(body, headers={"OData-Version": "4.0"})
    response.headers["Content-Type"] = "application/json;odata.metadata=minimal"
    return response


def _error(status: int, message: str) -> web.Response:
    body = {"error": {"code": str(status), "message": message}}
    return web.json_response(body, status=status, headers={"OData-Version": "4.0"})
