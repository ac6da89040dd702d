"""One call's page with its recording."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web

from ctserver.domain import call as machine
from ctserver.domain import phone
from ctserver.domain.model import Visit
from ctserver.domain.rights import Right, Scope
from ctserver.domain.source import CLICK_IDS
from ctserver.domain.times import times
from ctserver.domain.words import N_
from ctserver.http import audit, render
from ctserver.http.dashboard import blocked, marks, missed, quality, timeline
from ctserver.http.dashboard.rows import CallRow, call_row, label_of
from ctserver.http.dashboard.sound import file_of, peaks_of, send_file
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.language import gettext as _
from ctserver.outbound.attachment import Attachment
from ctserver.storage import attribution as evidence
from ctserver.storage import calls, journal, pauses, recordings, sessions
from ctserver.storage.db import Row

KINDS = {
    "static": N_("a number of its own"),
    "exact": N_("only one visitor was being shown this number"),
    "tapped": N_("the visitor tapped the number"),
    "likely": N_("the likeliest of those who saw it"),
    "repeat": N_("the same person as before"),
    "ambiguous": N_("several visitors were being shown this number"),
}


def add_routes(app: web.Application) -> None:
    app.router.add_get("/calls/{id:[0-9a-z]{26}}", call_page)
    app.router.add_get("/calls/{id:[0-9a-z]{26}}/recording", recording)
    app.router.add_get("/calls/{id:[0-9a-z]{26}}/peaks.json", peaks)


async def call_page(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    row = await journal.one(deps.db, scope, request.match_info["id"])
    if row is None:
        raise web.HTTPNotFound
    now = deps.now()
    call = call_row(row, deps.settings, now, scope)
    newer, older = await journal.neighbours(deps.db, scope, call.id)
    earlier = await journal.earlier(deps.db, scope, row) if row["caller"] else []
    context = {
        "page": "calls",
        "health": await deps.health(),
        "call": call,
        **await _way(deps, call, now, scope),
        "paused": frozenset(one.call for one in await pauses.open_ones(deps.db)) if call.records else frozenset(),
        "attribution": await _attribution(deps, row),
        "session": await session_of(deps, row["session"]),
        "earlier": [call_row(other, deps.settings, now, scope) for other in earlier],
        "recording": await _recording(deps, call, scope),
        "lost": await missed.case_of(deps, row),
        **await marks.context(request, row),
        **await quality.context(request, row),
        "blocked": blocked.of_call(request, row["caller"]),
        "sees_visitor": request[USER].may(Right.VISITORS),
        "may_erase": request[USER].may(Right.PRIVACY) and row["caller"].removeprefix("+").isdigit(),
        "may_download": request[USER].may(Right.DOWNLOAD),
        "previous_url": f"/calls/{newer}" if newer else None,
        "next_url": f"/calls/{older}" if older else None,
    }
    return render.page(request, "call.html", context)


async def _way(deps: Deps, call: CallRow, now: int, scope: Scope) -> dict[str, Any]:
    """What happened: in words, as bars, and how long each part took."""
    whole = await calls.by_id(deps.db, call.id)
    if whole is None:
        raise web.HTTPNotFound
    return {
        "timeline": timeline.moments(whole, call.line_name, await pauses.of_call(deps.db, call.id)),
        "bars": timeline.bars(whole, now),
        "took": times(whole, now),
        "keys": whole.keys if scope.callers else phone.masked(whole.keys),  # some type their number
        "queue": whole.queue,
    }


async def recording(request: web.Request) -> web.StreamResponse:
    """The sound, with HTTP Range; `?download=1`: as a file to keep."""
    download = bool(request.query.get("download"))
    if download and not request[USER].may(Right.DOWNLOAD):
        raise web.HTTPForbidden
    file = await recording_file(request)
    audit.describe(request, "downloaded" if download else "listened", request.match_info["id"])
    return send_file(file, download=download)


async def peaks(request: web.Request) -> web.StreamResponse:
    """What the player draws."""
    await recording_file(request)
    return await peaks_of(request.app[DEPS], request.match_info["id"])


async def recording_file(request: web.Request) -> Attachment:
    """The file of a call that this person may see. Raises HTTPNotFound."""
    deps, id = request.app[DEPS], request.match_info["id"]
    if await journal.one(deps.db, scope_of(request), id) is None:
        raise web.HTTPNotFound
    return await file_of(deps, id)


# ---- one call


async def _attribution(deps: Deps, row: Row) -> dict[str, Any]:
    source = sessions.source_of(row)
    others = await evidence.runners_up(deps.db, row["id"], row["session"])
    return {
        "kind": row["attribution"],
        "kind_label": _(KINDS.get(row["attribution"], "")),
        "confidence": row["confidence"],
        "why": row["why"],
        "source_label": label_of(source),
        "medium": source.medium,
        "source": source.source,
        "campaign": source.campaign,
        "term": source.term,
        "content": source.content,
        "click_ids": sorted(source.click_ids.items()),
        "others": [
            {
                "share": other["share"],
                "source_label": label_of(sessions.source_of(other)),
                "campaign": other["campaign"],
            }
            for other in others
        ],
    }


async def session_of(deps: Deps, id: str) -> dict[str, Any] | None:
    if not id:
        return None
    found, visits, signals = await sessions.session_path(deps.db, id)
    if found is None:
        return None
    return {
        "landing_url": found.landing_url,
        "referrer": found.referrer,
        "device": found.device,
        "region": found.region,
        "id": found.id,
        "visits": [
            {"at": v.at, "url": v.url, "path": path_of(v.url), "title": v.title, "spent": spent}
            for v, spent in zip(visits, _spent(visits, found.last_seen_at), strict=True)
        ],
        "signals": [{"at": signal["at"], "kind": signal["kind"]} for signal in signals],
    }


def _spent(visits: list[Visit], until: int) -> list[float]:
    """Seconds on each page: to the next one; on the last, to when he was last seen."""
    ends = [*(visit.at for visit in visits[1:]), until]
    return [max(0, end - visit.at) / 1000 for visit, end in zip(visits, ends, strict=False)]


def path_of(url: str) -> str:
    """The path of a URL as a person reads it, with its query; the tags of campaigns are told elsewhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    kept = "&".join(
        part for part in parts.query.split("&") if part.split("=")[0] not in CLICK_IDS and not part.startswith("utm_")
    )
    return unquote((parts.path or "/") + (f"?{kept}" if kept else ""))


async def _recording(deps: Deps, call: CallRow, scope: Scope) -> dict[str, Any] | None:
    if not scope.recordings:
        return {"state": "closed"}
    row = await recordings.of_call(deps.db, call.id)
    if row is None:
        return {"state": "recording"} if call.state == machine.TALKING else None
    if row["state"] in ("missing", "expired"):
        return {"state": "expired"} if row["state"] == "expired" else None
    if row["state"] == "waiting":
        return {"state": "preparing"}
    return {
        "state": "ready" if deps.sounds.exists(row["file"], row["place"]) else "missing",
        "url": f"/calls/{call.id}/recording",
        "peaks_url": f"/calls/{call.id}/peaks.json",
        "seconds": row["millis"] / 1000,
    }
