"""Which calls are worth listening to, how good they were, and a call for others to hear: the library, and links that end."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ctserver import ids
from ctserver.domain import phone, quality
from ctserver.domain.clock import DAY_MS, MINUTE_MS
from ctserver.domain.rights import EVERYTHING, Right, Scope
from ctserver.http import audit, render
from ctserver.http.dashboard.rows import call_row
from ctserver.http.dashboard.sound import file_of, peaks_of, send_file
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.storage import journal
from ctserver.storage import quality as store
from ctserver.storage.db import Row

LOOKS_BACK_DAYS = 30
SHOWN = 50  # calls at a time
QUEUES = ("long", "short", "missed", "low", "rated", "noted", "models")


def add_routes(app: web.Application) -> None:
    app.router.add_get("/quality", quality_page)
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/scores", save_scores)
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/model", save_model)
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/share", share)
    app.router.add_get("/shared/{token:[A-Za-z0-9_-]{20,64}}", shared_page)
    app.router.add_get("/shared/{token:[A-Za-z0-9_-]{20,64}}/recording", shared_recording)
    app.router.add_get("/shared/{token:[A-Za-z0-9_-]{20,64}}/peaks.json", shared_peaks)


async def quality_page(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    queue = request.query.get("queue", "")
    queue = queue if queue in QUEUES else "long"
    words, before = request.query.get("q", "")[:100], request.query.get("before", "")[:26] or ids.LAST
    rows = await _queue(deps, scope, queue, words, before)
    older = rows[SHOWN - 1]["id"] if len(rows) > SHOWN else ""
    context = {
        "page": "quality",
        "health": await deps.health(),
        "queue": queue,
        "queues": QUEUES,
        "days": LOOKS_BACK_DAYS,
        "words": words,
        "older": "/quality?" + urlencode({"queue": queue, "q": words, "before": older}) if older else "",
        "rows": [
            {"call": call_row(row, deps.settings, deps.now(), scope), "score": row["score"], "why": _why(row, queue)}
            for row in rows[:SHOWN]
        ],
    }
    return render.page(request, "quality.html", context)


async def _queue(deps: Deps, scope: Scope, queue: str, words: str, before: str) -> list[Row]:
    """The calls of a queue that come after the call `before`: one more than are shown, to know whether there are more."""
    settings, since, ever = deps.settings.quality, deps.now() - LOOKS_BACK_DAYS * DAY_MS, DAY_MS
    if queue == "models":
        return await store.models(deps.db, scope, SHOWN + 1, before)
    if queue == "missed":
        return await store.missed(deps.db, scope, since, SHOWN + 1, before)
    if queue == "noted":
        return await store.noted(deps.db, scope, since, words.casefold().split(), SHOWN + 1, before)
    least, most, rated = {
        "long": (settings.long_minutes * MINUTE_MS, ever, 0),
        "short": (0, settings.short_seconds * 1000, 0),
        "rated": (0, ever, 1),
        "low": (0, ever, 2),
    }[queue]
    return await store.answered(deps.db, scope, since, least, most, rated, SHOWN + 1, before)


def _why(row: Row, queue: str) -> str:
    return str(row["model_why"] if queue == "models" else row["note"] if queue == "noted" else "")


# ---- one call


async def context(request: web.Request, row: Row) -> dict[str, Any]:
    """What _quality.html shows of a call; `row` is a row of calls."""
    deps = request.app[DEPS]
    scores = await store.scores_of(deps.db, row["id"])
    model = await store.model_of(deps.db, row["id"])
    card = {score["criterion"]: score["score"] for score in scores}
    return {
        "criteria": quality.of_settings(deps.settings.quality.criteria),
        "card": card,
        "card_total": quality.total(card),
        "card_by": scores[0]["login"] if scores else "",
        "model": model["why"] if model else None,
        "shares": await store.shares_of(deps.db, row["id"], deps.now()) if request[USER].may(Right.WORK) else [],
    }


async def save_scores(request: web.Request) -> web.StreamResponse:
    """`c.CRITERION` = 1 to 5 for each; what is not sent is not rated."""
    deps, login = request.app[DEPS], request[USER].login
    row, form = await _call(request), await request.post()
    known = quality.of_settings(deps.settings.quality.criteria)
    sent = {name: str(form.get(f"c.{name}", "")) for name in known}
    scores = {name: int(text) for name, text in sent.items() if text in map(str, quality.SCORES)}
    now = deps.now()
    await deps.db.write(lambda tx: store.put_scores(tx, row["id"], scores, login, now))
    audit.describe(request, "call rated", row["id"], " ".join(f"{name}={score}" for name, score in scores.items()))
    return render.see_other(f"/calls/{row['id']}#quality")


async def save_model(request: web.Request) -> web.StreamResponse:
    """`why` puts the call into the library, `remove` takes it out."""
    deps, login = request.app[DEPS], request[USER].login
    row, form = await _call(request), await request.post()
    why, now = str(form.get("why", "")).strip()[:200], deps.now()
    if form.get("remove"):
        await deps.db.write(lambda tx: store.forget_model(tx, row["id"]))
        audit.describe(request, "removed from the library", row["id"])
    else:
        await deps.db.write(lambda tx: store.put_model(tx, row["id"], why, login, now))
        audit.describe(request, "added to the library", row["id"], why)
    return render.see_other(f"/calls/{row['id']}#quality")


async def share(request: web.Request) -> web.StreamResponse:
    """A link to this call for somebody without a login; it is shown once. `end` ends all links to the call."""
    deps, login = request.app[DEPS], request[USER].login
    row, form = await _call(request), await request.post()
    if form.get("end"):
        await deps.db.write(lambda tx: store.end_shares(tx, row["id"]))
        audit.describe(request, "links to a call ended", row["id"])
        return render.see_other(f"/calls/{row['id']}#quality")
    if not request[USER].may(Right.LISTEN):
        raise web.HTTPForbidden
    token, now = ids.token(), deps.now()
    until = now + deps.settings.quality.share_days * DAY_MS
    await deps.db.write(lambda tx: store.add_share(tx, _hash(token), row["id"], login, now, until))
    audit.describe(request, "link to a call made", row["id"], f"days={deps.settings.quality.share_days}")
    link = f"{deps.settings.server.public_url}/shared/{token}"
    context = {"page": "calls", "health": await deps.health(), "link": link, "until": until, "call_id": row["id"]}
    return render.page(request, "share.html", context)


async def _call(request: web.Request) -> Row:
    row = await journal.one(request.app[DEPS].db, scope_of(request), request.match_info["id"])
    if row is None:
        raise web.HTTPNotFound
    return row


# ---- for those without a login


async def shared_page(request: web.Request) -> web.StreamResponse:
    """One call: when, how long, its recording. Of the caller only what hides him."""
    deps = request.app[DEPS]
    row = await _shared(request)
    address = f"/shared/{request.match_info['token']}"
    call = call_row(row, deps.settings, deps.now(), EVERYTHING)
    context = {
        "call": call,
        "who": phone.masked(row["caller"]),
        "until": row["expires_at"],
        "recording_url": f"{address}/recording" if call.has_recording else "",
        "peaks_url": f"{address}/peaks.json",
    }
    response = render.page(request, "shared.html", context)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def shared_recording(request: web.Request) -> web.StreamResponse:
    row = await _shared(request)
    file = await file_of(request.app[DEPS], row["id"])
    await audit.write(request, "listened", row["id"], f"link={row['shared_by']}", once=True)
    return send_file(file)


async def shared_peaks(request: web.Request) -> web.StreamResponse:
    row = await _shared(request)
    return await peaks_of(request.app[DEPS], row["id"])


async def _shared(request: web.Request) -> Row:
    deps = request.app[DEPS]
    row = await store.shared(deps.db, _hash(request.match_info["token"]), deps.now())
    if row is None:
        raise web.HTTPNotFound
    return row


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
