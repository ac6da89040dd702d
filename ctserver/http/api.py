"""The API of /api/v1. Errors are problem+json."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ctserver.domain import phone
from ctserver.http.deps import DEPS, scope_of
from ctserver.http.problems import problem
from ctserver.storage import sessions
from ctserver.storage.db import Row


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/v1/numbers/{number}/holder", holder)


async def holder(request: web.Request) -> web.Response:
    """Who holds a number now, or held it at the time `at` (epoch milliseconds): the latest showing first."""
    deps = request.app[DEPS]
    try:
        number = phone.e164(request.match_info["number"], deps.settings.server.country)
    except phone.NotANumber as error:
        return problem(404, str(error))
    scope = scope_of(request)
    if number not in deps.uses or not scope.sees_site(deps.uses[number].site):
        return problem(404, f"{number} is not a tracked number")
    text = request.query.get("at", "")
    if text and not text.isdigit():
        return problem(400, "at must be a time in epoch milliseconds")
    at = int(text[:15]) if text else deps.now()
    rows = await sessions.holders_at(deps.db, number, at)
    return web.json_response(
        {"number": number, "at": at, "holders": [_holder(row) for row in rows if scope.sees_site(row["site"])]}
    )


def _holder(row: Row) -> dict[str, Any]:
    source = sessions.source_of(row)
    return {
        "session": row["session"],
        "visitor": row["visitor"],
        "site": row["site"],
        "exclusive": row["how"] == "free",
        "shown_at": row["shown_at"],
        "last_seen_at": row["seen_at"],
        "left_at": row["left_at"],
        "until": row["until"],
        "landing_url": row["landing_url"],
        "medium": source.medium,
        "source": source.source,
        "campaign": source.campaign,
    }
