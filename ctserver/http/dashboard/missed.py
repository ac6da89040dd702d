"""The work list of missed calls: who waits to be called back, whose job it is, and how well it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiohttp import web

from ctserver.domain import missed as work
from ctserver.domain.clock import DAY_MS
from ctserver.domain.missed import Case
from ctserver.domain.rights import EVERYTHING, Right, Scope
from ctserver.http import audit, render
from ctserver.http.dashboard import callback
from ctserver.http.dashboard.rows import call_row
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.storage import journal, missed
from ctserver.storage.db import Row, Transaction

PERIODS = (1, 7, 30)
DAYS = 7  # that are shown unless others are asked for, here, on the overview and in the navigation
SHOWN = 100


class Found(NamedTuple):
    """The cases, the latest first; the line of each call; how many calls were of callers who withheld their number; and where
    there are more than missed.MOST calls, since when they are looked at."""

    cases: list[Case]
    lines: dict[str, str]
    withheld: int
    only_since: int | None


def add_routes(app: web.Application) -> None:
    app.router.add_get("/missed", missed_page)
    app.router.add_post("/missed/{id:[0-9a-z]{26}}", change)


async def missed_page(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    shown = await _context(request)
    return render.page(request, "missed.html", {"page": "missed", "health": await deps.health(), **shown})


async def change(request: web.Request) -> web.StreamResponse:
    """One step of the work: `take`, `drop`, `called_back`, `given_up`, `reopen`."""
    deps, login, id = request.app[DEPS], request[USER].login, request.match_info["id"]
    row = await journal.one(deps.db, scope_of(request), id)
    if row is None or row["outcome"] != "missed":
        raise web.HTTPNotFound
    form = await request.post()
    step, now = str(form.get("step", "")), deps.now()
    to = {"take": login, "drop": ""}
    if step in to:
        await deps.db.write(lambda tx: missed.assign(tx, id, to[step], login, now))
    elif step in (work.CALLED_BACK, work.GIVEN_UP, "reopen"):
        state = "" if step == "reopen" else step
        await deps.db.write(lambda tx: missed.settle(tx, id, state, login, now))
    else:
        raise web.HTTPBadRequest
    audit.describe(request, "missed call worked on", id, f"{step} {to.get(step, '')}".strip())
    deps.live.changed()
    if "HX-Request" not in request.headers:
        return render.see_other(render.own_path(str(form.get("next", "/missed"))))
    return render.page(request, "_missed_body.html", await _context(request))


async def waiting(deps: Deps) -> list[tuple[str, str]]:
    """(site, line) of every caller of the last days who waits, for the dot in the navigation."""
    found = await look(deps, EVERYTHING, DAYS)
    return [(case.site, found.lines[case.id]) for case in found.cases if case.state == work.NEW]


async def look(deps: Deps, scope: Scope, days: int) -> Found:
    """The cases of the last days. Away from the event loop: there may be thousands."""

    def read(tx: Transaction) -> Found:
        rows = missed.since(tx, scope, deps.now() - days * DAY_MS)
        lines = {row["id"]: row["line"] for row in rows}
        only_since = rows[-1]["arrived_at"] if len(rows) == missed.MOST else None
        cases = work.cases(map(missed.missed_call, rows))
        return Found(cases, lines, sum(not row["caller"] for row in rows), only_since)

    return await deps.db.read(read)


async def case_of(deps: Deps, row: Row) -> dict[str, Any] | None:
    """What became of one missed call and those of its caller since: its case, how long he waits, and the list that it stands on.
    None where it is nobody's work."""
    if row["outcome"] != "missed" or not row["caller"]:
        return None
    rows = await deps.db.read(lambda tx: missed.of_caller(tx, row["caller"], row["site"], row["arrived_at"]))
    found = next((case for case in work.cases(map(missed.missed_call, rows)) if row["id"] in case.calls), None)
    gone = deps.now() - row["arrived_at"]
    days = next((days for days in PERIODS[1:] if gone < days * DAY_MS), None)
    if found is None:
        return None
    path = f"/missed?show={'todo' if found.state == work.NEW else 'done'}&days={days}" if days else ""
    return {"case": found, "waits_ms": gone, "path": path}


async def rows_of(deps: Deps, shown: Sequence[Case]) -> dict[str, Row]:
    """The calls of cases, as rows of the journal."""
    return await deps.db.read(lambda tx: missed.rows(tx, (case.id for case in shown)))


async def _context(request: web.Request) -> dict[str, Any]:
    deps, scope, login = request.app[DEPS], scope_of(request), request[USER].login
    show = request.query.get("show", "")
    show = show if show in ("mine", "done") else "todo"
    days = next((days for days in PERIODS if str(days) == request.query.get("days")), DAYS)
    found = await look(deps, scope, days)
    wanted = {
        "todo": lambda case: case.state == work.NEW,
        "mine": lambda case: case.state == work.NEW and case.assignee == login,
        "done": lambda case: case.state != work.NEW,
    }
    counts = {name: sum(map(wanted[name], found.cases)) for name in wanted}
    listed = [case for case in found.cases if wanted[show](case)]
    rows = await rows_of(deps, listed[:SHOWN])
    return {
        "show": show,
        "days": days,
        "periods": PERIODS,
        "counts": counts,
        "merit": work.merit(found.cases),
        "withheld": found.withheld,
        "only_since": found.only_since,
        "most": missed.MOST,
        "hidden": max(0, len(listed) - SHOWN),
        "cases": [_case(deps, case, rows[case.id], request) for case in listed[:SHOWN] if case.id in rows],
        "may_work": request[USER].may(Right.WORK),
        "wishes": await callback.waiting(request),
    }


def _case(deps: Deps, case: Case, row: Row, request: web.Request) -> dict[str, Any]:
    call = call_row(row, deps.settings, deps.now(), scope_of(request))
    return {"call": call, "case": case, "times": len(case.calls), "waits_ms": deps.now() - case.first_at}
