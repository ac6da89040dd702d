"""The journal of calls, and one call's page with its recording."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from ctserver import language
from ctserver.domain import call as machine
from ctserver.domain.rights import Scope
from ctserver.domain.words import N_
from ctserver.http import audit, render
from ctserver.http.dashboard import marks
from ctserver.http.dashboard.rows import CallRow, call_row, colour, label_of
from ctserver.http.deps import DEPS, Deps, scope_of
from ctserver.language import gettext as _
from ctserver.language import ngettext
from ctserver.storage import attribution as evidence
from ctserver.storage import calls, journal, recordings, sessions
from ctserver.storage.db import Row
from ctserver.storage.journal import Filters

PAGE = 50

KINDS = {
    "static": N_("a number of its own"),
    "exact": N_("one visitor held the number"),
    "tapped": N_("the visitor tapped the number"),
    "likely": N_("the likeliest of those who saw it"),
    "repeat": N_("the same person as before"),
    "ambiguous": N_("several visitors held the number"),
}
ROUTED_BY = {
    "ctserver": "",
    "script": N_("ctserver was away; its database decided"),
    "memory": N_("ctserver was away; the last known line"),
    "default": N_("ctserver was away; the default line"),
}


def add_routes(app: web.Application) -> None:
    app.router.add_get("/", _home)
    app.router.add_get("/calls", calls_page)
    app.router.add_get("/calls/rows", call_rows)
    app.router.add_get("/calls/{id:[0-9a-z]{26}}", call_page)
    app.router.add_get("/calls/{id:[0-9a-z]{26}}/recording.wav", recording)
    app.router.add_get("/calls/{id:[0-9a-z]{26}}/peaks.json", peaks)


async def _home(_request: web.Request) -> web.StreamResponse:
    return render.see_other("/calls")


async def calls_page(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    context = await _journal(request, deps)
    context |= {
        "page": "calls",
        "health": await deps.health(),
        "sites": _sites(deps, scope_of(request)),
        "today": await _today(deps, scope_of(request)),
        "live": not request.query.get("before"),
        "flash": _flash(request),
    }
    return render.page(request, "calls.html", context)


async def call_rows(request: web.Request) -> web.StreamResponse:
    """The rows alone, for htmx."""
    return render.page(request, "_call_rows.html", await _journal(request, request.app[DEPS]))


async def call_page(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    row = await journal.one(deps.db, scope, request.match_info["id"])
    if row is None:
        raise web.HTTPNotFound
    now = deps.now()
    call = call_row(row, deps.settings, now, scope)
    newer, older = await journal.neighbours(deps.db, scope, call.id)
    earlier = await journal.earlier(deps.db, scope, row["caller"], call.id) if row["caller"] else []
    context = {
        "page": "calls",
        "health": await deps.health(),
        "call": call,
        "timeline": _timeline(row, await calls.legs(deps.db, call.id), call),
        "attribution": await _attribution(deps, row),
        "session": await _session(deps, row["session"]),
        "earlier": [call_row(other, deps.settings, now, scope) for other in earlier],
        "recording": await _recording(deps, call, scope),
        **await marks.context(request, row),
        "previous_url": f"/calls/{newer}" if newer else None,
        "next_url": f"/calls/{older}" if older else None,
    }
    return render.page(request, "call.html", context)


async def recording(request: web.Request) -> web.StreamResponse:
    """The sound, with HTTP Range."""
    file = await recording_file(request)
    audit.describe(request, "listened", request.match_info["id"])
    headers = {"Content-Disposition": f'inline; filename="{file.name}"', "Cache-Control": "private, max-age=3600"}
    return web.FileResponse(file, headers=headers)


async def peaks(request: web.Request) -> web.StreamResponse:
    """What the player draws."""
    deps = request.app[DEPS]
    file = await recording_file(request)
    found = await asyncio.to_thread(deps.peaks, file)
    return web.json_response(found, headers={"Cache-Control": "private, max-age=3600"})


async def recording_file(request: web.Request) -> Path:
    """The file of a call that this person may see. Raises HTTPNotFound."""
    deps, id = request.app[DEPS], request.match_info["id"]
    if await journal.one(deps.db, scope_of(request), id) is None:
        raise web.HTTPNotFound
    row = await recordings.of_call(deps.db, id)
    if row is None or row["state"] != "ready":
        raise web.HTTPNotFound
    file: Path = (deps.recordings / str(row["file"])).resolve()
    if not file.is_relative_to(deps.recordings.resolve()) or not file.is_file():
        raise web.HTTPNotFound
    return file


# ---- the journal


async def _journal(request: web.Request, deps: Deps) -> dict[str, Any]:
    query, scope = request.query, scope_of(request)
    outcome = query.get("outcome", "")
    filters = Filters(
        outcome=outcome if outcome in (machine.ANSWERED, machine.MISSED) else "",
        site=query.get("site", "") if query.get("site", "") in deps.settings.sites else "",
        q=query.get("q", "").strip()[:100],
    )
    rows = await journal.page(deps.db, scope, filters, before=query.get("before", "")[:26], limit=PAGE + 1)
    now = deps.now()
    kept = {name: value for name, value in asdict(filters).items() if value}
    older = f"/calls/rows?{urlencode({**kept, 'before': rows[PAGE - 1]['id']})}" if len(rows) > PAGE else None
    return {
        "calls": [call_row(row, deps.settings, now, scope) for row in rows[:PAGE]],
        "filters": asdict(filters),
        "older": older,
    }


def _sites(deps: Deps, scope: Scope) -> list[dict[str, str]]:
    return [{"id": id, "name": site.name or id} for id, site in deps.settings.sites.items() if scope.sees_site(id)]


async def _today(deps: Deps, scope: Scope) -> dict[str, Any]:
    now = render.local(deps.now())
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    week = timedelta(days=7)
    total, answered, missed = await journal.counts(deps.db, scope, _ms(midnight), _ms(now) + 1)
    before, *_rest = await journal.counts(deps.db, scope, _ms(midnight - week), _ms(now - week))
    summary = _summary(total, before, language.weekday(_ms(now)))
    return {"calls": total, "answered": answered, "missed": missed, "last_week_calls": before, "summary": summary}


def _summary(total: int, before: int, day: str) -> str:
    """38 calls today, 6 more than last Saturday by now."""
    if not total and not before:
        return _("No calls yet today")
    counted = ngettext("%(count)s call today", "%(count)s calls today", total) % {"count": language.number(total)}
    if not before:
        return counted
    words = {
        0: _("as many as last %(day)s by now"),
        1: _("%(count)s more than last %(day)s by now"),
        -1: _("%(count)s fewer than last %(day)s by now"),
    }[(total > before) - (total < before)]
    return f"{counted}, {words % {'count': language.number(abs(total - before)), 'day': day}}"


def _ms(moment: Any) -> int:
    return int(moment.timestamp() * 1000)


def _flash(request: web.Request) -> dict[str, str] | None:
    if request.query.get("done") == "testcall":
        return {"kind": "ok", "text": _("The test call is on its way: it appears below as it rings.")}
    return None


# ---- one call


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the time line."""

    at: int
    offset: int
    kind: str
    text: str
    tone: str


def _timeline(row: Row, legs: list[Row], call: CallRow) -> list[Step]:
    start = row["arrived_at"]
    found: list[tuple[int, str, str, str]] = [(start, "arrived", _("The call arrived"), "plain")]
    if call.line_name:
        put = _("Put through to %(line)s") % {"line": call.line_name}
        routed = _(ROUTED_BY.get(row["routed_by"], ""))
        found.append(
            (legs[0]["started_at"] if legs else start, "routed", f"{put} ({routed})" if routed else put, "plain")
        )
    for leg in legs:
        party = {"party": _party(leg["channel"])}
        if leg["ringing_at"] is not None and leg["channel"]:
            found.append((leg["ringing_at"], "ringing", _("%(party)s rang") % party, "plain"))
        if leg["answered_at"] is not None:
            found.append((leg["answered_at"], "answered", _("%(party)s answered") % party, "ok"))
        elif leg["ended_at"] is not None and leg["status"] not in ("", "CANCEL"):
            found.append((leg["ended_at"], "note", f"{party['party']}: {_status(leg['status'])}", "warn"))
    if row["ended_at"] is not None:
        gave_up = row["outcome"] == machine.MISSED and row["reason"] in ("abandoned", "abandoned_early")
        text = _("The caller gave up") if gave_up else _("The call ended")
        found.append((row["ended_at"], "ended", text, "bad" if row["outcome"] == machine.MISSED else "plain"))
    return [Step(at, max(0, at - start) // 1000, kind, text, tone) for at, kind, text, tone in sorted(found, key=_at)]


def _at(step: tuple[int, str, str, str]) -> int:
    return step[0]


def _party(channel: str) -> str:
    """PJSIP/100-0000002a -> PJSIP/100."""
    return channel.rpartition("-")[0] or channel


def _status(status: str) -> str:
    words = {
        "BUSY": _("busy"),
        "NOANSWER": _("no answer"),
        "CONGESTION": _("congestion"),
        "CHANUNAVAIL": _("cannot be reached"),
    }
    return words.get(status, status.lower())


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
                "source_colour": colour(label_of(sessions.source_of(other))),
                "campaign": other["campaign"],
            }
            for other in others
        ],
    }


async def _session(deps: Deps, id: str) -> dict[str, Any] | None:
    if not id:
        return None
    found, visits, signals = await sessions.session_path(deps.db, id)
    if found is None:
        return None
    return {
        "landing_url": found.landing_url,
        "referrer": found.referrer,
        "started_at": found.started_at,
        "device": found.device,
        "region": found.region,
        "visits": [{"at": v.at, "url": v.url, "path": path_of(v.url), "title": v.title} for v in visits],
        "signals": [{"at": signal["at"], "kind": signal["kind"], "text": ""} for signal in signals],
    }


def path_of(url: str) -> str:
    """The path of a URL, with its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


async def _recording(deps: Deps, call: CallRow, scope: Scope) -> dict[str, Any] | None:
    if not scope.recordings:
        return {"state": "closed"}
    row = await recordings.of_call(deps.db, call.id)
    if row is None:
        return {"state": "recording"} if call.state == machine.TALKING else None
    if row["state"] == "missing":
        return None
    if row["state"] == "waiting":
        return {"state": "preparing"}
    exists = (deps.recordings / row["file"]).is_file()
    return {
        "state": "ready" if exists else "missing",
        "url": f"/calls/{call.id}/recording.wav",
        "peaks_url": f"/calls/{call.id}/peaks.json",
        "seconds": row["millis"] / 1000,
    }
