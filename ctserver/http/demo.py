"""The demo shop: a page with the script on it, campaign links to arrive by, and a test call without a login."""

from __future__ import annotations

from aiohttp import web

from ctserver import language
from ctserver.domain import phone
from ctserver.domain.clock import MINUTE_MS
from ctserver.http import render
from ctserver.http.deps import DEPS, TestCallFailed

MAX_CALLS = 6  # test calls a minute from the demo page
_ARRIVALS = (
    (
        "Google Ads",
        "utm_source=google&utm_medium=cpc&utm_campaign=spring-tune-up&utm_term=bike+repair&gclid=demo-gclid",
    ),
    ("Yandex Direct", "utm_source=yandex&utm_medium=cpc&utm_campaign=hire&yclid=1234567890"),
    ("Newsletter", "utm_source=newsletter&utm_medium=email&utm_campaign=november"),
    ("nobody (direct)", ""),
)


def add_routes(app: web.Application) -> None:
    app.router.add_get("/demo", shop)
    app.router.add_post("/demo/testcall", testcall)


async def shop(request: web.Request) -> web.StreamResponse:
    language.write_for(language.Reader())  # the shop speaks English
    site_id, site = next(iter(request.app[DEPS].settings.sites.items()))
    context = {
        "number": phone.international(site.number),
        "number_e164": site.number,
        "links": [{"label": label, "url": f"/demo?{query}" if query else "/demo"} for label, query in _ARRIVALS],
        "script_url": f"/ct.js?site={site_id}",
        "callback_url": f"/ct-callback.js?site={site_id}",
        "dashboard_url": "/calls",
    }
    response = render.page(request, "demo.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response


async def testcall(request: web.Request) -> web.Response:
    """`{"number": "+44..."}` -> a call to it, a few times a minute. JSON only, so no other site's form can do it."""
    deps = request.app[DEPS]
    if request.content_type != "application/json":
        return _error("Send JSON.", 415)
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError):
        body = None
    number = body.get("number") if isinstance(body, dict) else None
    if not isinstance(number, str) or number not in deps.uses:
        return _error("The page shows its own number, which is not tracked. Is the script working?", 404)
    recent = [at for at in deps.attempts.get("demo testcall", []) if at > deps.now() - MINUTE_MS]
    if len(recent) >= MAX_CALLS:
        return _error("That was many calls. Please wait a minute.", 429)
    deps.attempts["demo testcall"] = [*recent, deps.now()]
    try:
        await deps.testcall(number)
    except TestCallFailed as failed:
        return _error(str(failed), 502)
    return web.json_response({"text": f"It rings: {phone.international(number)}. See it in the dashboard."})


def _error(text: str, status: int) -> web.Response:
    return web.json_response({"error": text}, status=status)
