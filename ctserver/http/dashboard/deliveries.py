"""What was told to whom: the log of deliveries, what is wrong with a channel, and tests, retries and replays by hand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ctserver import language
from ctserver.config import Settings
from ctserver.domain import phone
from ctserver.domain.clock import DAY_MS
from ctserver.domain.rights import Scope
from ctserver.domain.words import N_
from ctserver.http import audit, render
from ctserver.http.dashboard import answers
from ctserver.http.dashboard.happened import KINDS
from ctserver.http.deps import DEPS, Deps, scope_of
from ctserver.language import gettext as _
from ctserver.outbound import OutboundError
from ctserver.services.delivery import Delivery
from ctserver.storage import outbox
from ctserver.storage.db import Row
from ctserver.storage.outbox import Wanted

PAGE = 50
DAYS = 7  # of what was taken and what was not needed; what waits or was given up counts however old it is
_NUMBER = re.compile(r"\+\d{7,15}")
WAYS = {  # by the type of the channel
    "email": N_("E-mail"),
    "http": N_("SMS"),
    "smsc": N_("SMS"),
    "smsru": N_("SMS"),
    "twilio": N_("SMS"),
    "vonage": N_("SMS"),
    "smpp": N_("SMS"),
    "modem": N_("SMS by a modem"),
    "telegram": "Telegram",
    "slack": "Slack",
    "mattermost": "Mattermost",
    "discord": "Discord",
    "matrix": "Matrix",
    "push": N_("Browser"),
    "apprise": "Apprise",
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A web hook or channel as the page shows it: `via` is its queue, `way` what it is in words, `name` its name in the
    settings. `problem` is "" while it works; `paused_until` and `failing_at` are epoch milliseconds, 0 for neither."""

    via: str
    name: str
    way: str
    problem: str
    paused_until: int
    failing_at: int
    states: dict[str, int]
    seconds: float | None

    @property
    def used(self) -> bool:
        """Something waits, or was sent or given up lately."""
        return any(self.states.values())


def add_routes(app: web.Application) -> None:
    app.router.add_get("/deliveries", deliveries_page)
    app.router.add_get("/deliveries/rows", rows)
    app.router.add_get("/deliveries/{id:[0-9a-z]{26}}", delivery_page)
    app.router.add_post("/deliveries/{id:[0-9a-z]{26}}/again", again)
    app.router.add_post("/deliveries/test", test)
    app.router.add_post("/deliveries/again", again_all)
    app.router.add_post("/deliveries/resume", resume)


async def deliveries_page(request: web.Request) -> web.StreamResponse:
    return await _log(request, None)


async def rows(request: web.Request) -> web.StreamResponse:
    """What of the page changes by itself."""
    return render.page(request, "_deliveries_body.html", await _body(request))


async def delivery_page(request: web.Request) -> web.StreamResponse:
    """One delivery: what was said, and every try."""
    deps, row = request.app[DEPS], await _one(request)
    context = {
        "page": "deliveries",
        "health": await deps.health(),
        "row": _shown(row, deps, scope_of(request)),
        "said": _readable(row["said"]),
        "tries": [
            {**dict(one), "answer": answers.shown(one["answer"], deps.now())}
            for one in await outbox.tries_of(deps.db, row["id"])
        ],
    }
    return render.page(request, "delivery.html", context)


async def again(request: web.Request) -> web.StreamResponse:
    """Send it once more, whatever became of it."""
    delivery, row = _delivery(request), await _one(request)
    if not await delivery.again(row["id"]):
        raise web.HTTPNotFound
    audit.describe(request, "sent again", row["id"], f"{row['via']} {row['addressee']}".strip())
    return render.see_other(f"/deliveries/{row['id']}")


async def again_all(request: web.Request) -> web.StreamResponse:
    """Send everything that a web hook or channel has given up."""
    delivery = _delivery(request)
    via = await _via(request, delivery)
    count = await delivery.again_all(via)
    audit.describe(request, "sent again", via, f"count={count}")
    return render.see_other(f"/deliveries?{urlencode({'via': via})}")


async def resume(request: web.Request) -> web.StreamResponse:
    """End a pause, or the slow pace after failures: what waits goes out now."""
    delivery = _delivery(request)
    via = await _via(request, delivery)
    await delivery.resume(via)
    audit.describe(request, "deliveries resumed", via)
    return render.see_other("/deliveries")


async def test(request: web.Request) -> web.StreamResponse:
    """Send something harmless, and show what the other side says."""
    deps, delivery = request.app[DEPS], _delivery(request)
    via = await _via(request, delivery)
    audit.describe(request, "channel tested", via)
    name = name_of(via)
    try:
        words = _("%(name)s accepted the test: %(answer)s") % {
            "name": name,
            "answer": answers.shown(await delivery.test(via), deps.now()),
        }
        return await _log(request, {"kind": "ok", "text": words})
    except OutboundError as error:
        words = _("%(name)s did not accept the test: %(answer)s") % {
            "name": name,
            "answer": answers.shown(str(error), deps.now()),
        }
        return await _log(request, {"kind": "error", "text": words})
    finally:
        deps.wake()


async def _log(request: web.Request, flash: dict[str, str] | None) -> web.StreamResponse:
    deps = request.app[DEPS]
    context = {"page": "deliveries", "health": await deps.health(), "flash": flash, **await _body(request)}
    return render.page(request, "deliveries.html", context)


async def _body(request: web.Request) -> dict[str, Any]:
    deps, scope = request.app[DEPS], scope_of(request)
    channels = await _channels(deps)
    wanted = _wanted(request, deps)
    found = await outbox.page(deps.db, wanted, scope, PAGE)
    kept = {name: request.query[name] for name in ("via", "state", "kind", "q") if request.query.get(name)}
    older = {**kept, "before": found.older} if found.older else None
    sums = {state: sum(one.states[state] for one in channels if wanted.via in ("", one.via)) for state in outbox.STATES}
    return {
        "channels": channels,
        "rows": [_shown(row, deps, scope) for row in found.rows],
        "wanted": wanted,
        "kept": kept,
        "link": lambda **change: _address({**kept, **change}),
        "older": _address(older) if older else None,
        "looked_to": found.looked_to,
        "live": not wanted.before,
        "query": urlencode(kept),
        "states": outbox.STATES,
        "sums": sums,
        "kinds": {kind: _(words) for kind, words in KINDS.items()},
        "days": DAYS,
    }


def _wanted(request: web.Request, deps: Deps) -> Wanted:
    query = request.query
    vias = deps.delivery.vias if deps.delivery else {}
    return Wanted(
        via=query.get("via", "") if query.get("via", "") in vias else "",
        state=query.get("state", "") if query.get("state", "") in outbox.STATES else "",
        kind=query.get("kind", "") if query.get("kind", "") in KINDS else "",
        text=query.get("q", "").strip()[:100],
        before=query.get("before", "")[:26],
    )


def _address(query: dict[str, str]) -> str:
    text = urlencode({name: value for name, value in query.items() if value})
    return f"/deliveries?{text}" if text else "/deliveries"


async def _channels(deps: Deps) -> list[Channel]:
    if deps.delivery is None:
        return []
    vias, now = list(deps.delivery.vias), deps.now()
    figures, problems = await outbox.figures(deps.db, vias, now - DAYS * DAY_MS), deps.delivery.problems()
    found = []
    for via in vias:
        state, counted = deps.delivery.state(via), figures[via]
        found.append(
            Channel(
                via=via,
                name=name_of(via),
                way=way_of(via, deps.settings),
                problem=answers.shown(problems.get(via, ""), now),
                paused_until=state.paused_until if state.paused_until > now else 0,
                failing_at=state.failing_at or 0,
                states=dict(counted.states),
                seconds=None if counted.median_ms is None else counted.median_ms / 1000,
            )
        )
    return found


def name_of(via: str) -> str:
    """Its name in the settings."""
    return via.partition(".")[2] or via


def way_of(via: str, settings: Settings) -> str:
    """What a queue goes by, in words: "E-mail"."""
    kind, _dot, name = via.partition(".")
    if kind in ("hook", "letters"):
        return _("Web hook") if kind == "hook" else _("E-mail")
    table = settings.notify.get(name)
    return _(WAYS[table.type]) if table else kind


def _shown(row: Row, deps: Deps, scope: Scope) -> dict[str, Any]:
    """A row as the page shows it; `next_at`: when it is tried next, while it waits."""
    path, _space, _to = row["sink"].partition(" ")
    caller, words = row["caller"] or "", KINDS.get(row["kind"])
    return {
        **dict(row),
        "what": _(words) if words else row["kind"],
        "answer": answers.shown(row["answer"], deps.now()),
        "detail": answers.shown(row["detail"], deps.now()),
        "addressee": language.phone(row["addressee"]) if _NUMBER.fullmatch(row["addressee"]) else row["addressee"],
        "next_at": max(row["due_at"], _paused_until(deps, row["via"])),
        "caller": caller if scope.callers else phone.masked(caller),
        "name": name_of(row["via"]),
        "way": way_of(row["via"], deps.settings),
        "rule": path.partition(".")[2] if path.startswith("alert.") else "",
        "seconds": (row["settled_at"] - row["written_at"]) / 1000 if row["settled_at"] is not None else None,
    }


def _paused_until(deps: Deps, via: str) -> int:
    """Of a queue that the settings still have; else 0."""
    return deps.delivery.state(via).paused_until if deps.delivery and via in deps.delivery.vias else 0


def _readable(said: str) -> str:
    """JSON with its lines, anything else as it is."""
    try:
        return json.dumps(json.loads(said), ensure_ascii=False, indent=2)
    except ValueError:
        return said


async def _one(request: web.Request) -> Row:
    """The delivery of the address, if it may be seen. Raises HTTPNotFound."""
    row = await outbox.one(request.app[DEPS].db, request.match_info["id"], scope_of(request))
    if row is None:
        raise web.HTTPNotFound
    return row


def _delivery(request: web.Request) -> Delivery:
    delivery = request.app[DEPS].delivery
    if delivery is None:
        raise web.HTTPNotFound
    return delivery


async def _via(request: web.Request, delivery: Delivery) -> str:
    """The queue that the form names. What concerns all of it is for those who see everything."""
    via = str((await request.post()).get("via", ""))
    if scope_of(request).limited:
        raise web.HTTPForbidden
    if via not in delivery.vias:
        raise web.HTTPNotFound
    return via
