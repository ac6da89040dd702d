"""How each pool does by the hour, and how many numbers it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from ctserver import language
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.http import render
from ctserver.http.dashboard import period
from ctserver.http.deps import DEPS, Deps, scope_of
from ctserver.language import gettext as _
from ctserver.language import ngettext
from ctserver.services.pools import ENOUGH, LOOK_BACK_DAYS
from ctserver.storage import leases, pools
from ctserver.storage.db import Row

HOURS = 24  # the one that goes on is the last of them


def add_routes(app: web.Application) -> None:
    app.router.add_get("/pools", pools_page)


async def pools_page(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    today = await leases.shortages_since(deps.db, period.today_began(deps.now()))
    seen = {use.pool for use in deps.uses.values() if scope.sees(use.site, use.line)}
    context = {
        "page": "pools",
        "health": await deps.health(),
        "pools": [await _pool(deps, name, today.get(name, {})) for name in deps.settings.pools if name in seen],
    }
    return render.page(request, "pools.html", context)


async def _pool(deps: Deps, name: str, today: Mapping[str, int]) -> dict[str, Any]:
    now = deps.now()
    pool = deps.settings.pools[name]
    hours = await pools.by_hour(deps.db, name, pool.numbers, now - now % HOUR_MS - (HOURS - 1) * HOUR_MS)
    rows = [_hour(hour, counts) for hour, counts in sorted(hours.items(), reverse=True)]
    short = await pools.latest_facts(deps.db, "pool_short", now - DAY_MS)
    latest = await pools.report(deps.db, name)
    return {
        "id": name,
        "size": len(pool.numbers),
        "hours": rows,
        "short": short_of(short.get(name)),
        "today": short_today(today),
        "seen": 0 if latest else await pools.shown_since(deps.db, name, now - LOOK_BACK_DAYS * DAY_MS, ENOUGH),
        "enough": ENOUGH,
        "report": {"at": latest["at"], **json.loads(latest["report"])} if latest else None,
    }


def short_of(fact: Row | None) -> str:
    """What a fact says of a pool that was short of numbers, in the reader's words; "" of none."""
    if fact is None:
        return ""
    told: dict[str, int] = json.loads(fact["data"])
    return _("%(short)s of %(showings)s visitors got no number of their own within an hour.") % told


def short_today(counts: Mapping[str, int]) -> str:
    """What visitors got instead of a number of their own, in the reader's words; "" if each got one. `counts`: as
    storage/leases.py has the shortages of a pool."""
    told = (
        ("shared", ngettext("%(count)s visitor had to share a number today", "%(count)s visitors had to share a number today", counts.get("shared", 0))),
        ("static", ngettext("%(count)s visitor saw the source's own number today", "%(count)s visitors saw the source's own number today", counts.get("static", 0))),
        ("overflow", ngettext("%(count)s visitor saw the overflow number today", "%(count)s visitors saw the overflow number today", counts.get("overflow", 0))),
        ("page", ngettext("%(count)s visitor saw the page's own number today", "%(count)s visitors saw the page's own number today", counts.get("page", 0))),
    )  # fmt: skip
    return ", ".join(words % {"count": language.number(counts[what])} for what, words in told if counts.get(what))


def _hour(hour: int, counts: dict[str, float]) -> dict[str, Any]:
    calls = int(counts.get("calls", 0))
    start = render.local(hour)
    return {
        "begins": f"{language.day(hour, 'short')}, {start:%H:%M}",
        "ends": f"{start + timedelta(hours=1):%H:%M}",
        "shown": int(counts.get("shown", 0)),
        "exclusive": int(counts.get("exclusive", 0)),
        "shared": int(counts.get("shared", 0)),
        "overflowed": int(counts.get("overflowed", 0)),
        "calls": calls,
        "named": int(counts.get("named", 0)),
        "confidence": counts.get("confidence", 0) / calls if calls else None,
    }
