"""Who reads a page: his language and time zone, by his own setting, else by his browser; and the form to choose them."""

from __future__ import annotations

from dataclasses import astuple, replace

from aiohttp import web
from aiohttp.typedefs import Handler

from ctserver import language
from ctserver.domain import phone
from ctserver.http import audit, render
from ctserver.http.deps import DEPS, USER, Deps
from ctserver.language import Reader
from ctserver.storage import preferences
from ctserver.storage.preferences import Preferences

COOKIE = "ct_language"
YEAR = 365 * 86_400
CHOSEN: web.AppKey[dict[str, Preferences]] = web.AppKey("preferences", dict)


def add_routes(app: web.Application) -> None:
    app[CHOSEN] = {}
    app.router.add_get("/settings", settings_page)
    app.router.add_post("/settings", save)
    app.router.add_post("/language", switch)


def guess(request: web.Request) -> None:
    """Before it is known who it is: by the cookie of an earlier choice, `?lang=`, or what the browser accepts."""
    for said in (request.query.get("lang", ""), request.cookies.get(COOKIE, "")):
        if said in language.LANGUAGES:
            return language.write_for(_reader(request.app[DEPS], Preferences(said)))
    spoken = language.negotiate(request.headers.get("Accept-Language", ""))
    return language.write_for(_reader(request.app[DEPS], Preferences(spoken)))


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the person has chosen goes before what his browser says."""
    user = request.get(USER)
    if user is not None:
        chosen = await _chosen(request, user.login)
        spoken = chosen.language or language.reader().language
        language.write_for(_reader(request.app[DEPS], Preferences(spoken, chosen.zone, chosen.phones)))
    response = await handler(request)
    if request.query.get("lang") in language.LANGUAGES and not response.prepared:
        response.set_cookie(COOKIE, request.query["lang"], max_age=YEAR, path="/", httponly=True, samesite="Lax")
    return response


async def settings_page(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    context = {
        "page": "you",
        "health": await deps.health(),
        "chosen": await _chosen(request, request[USER].login),
        "languages": language.LANGUAGES,
        "zones": language.zones(),
        "server_zone": deps.settings.server.time_zone,
        "example": _example(deps.settings.server.country),
        "saved": request.query.get("done") == "saved",
    }
    return render.page(request, "settings.html", context)


def _example(country: str) -> tuple[str, str] | None:
    """A number of the country both ways, abroad and at home; None where no country is known."""
    number = phone.example(country)
    return (phone.international(number), phone.national(number)) if number else None


async def save(request: web.Request) -> web.StreamResponse:
    """What was chosen counts from the next page on, wherever this person is logged in."""
    login = request[USER].login
    form = await request.post()
    spoken, zone, phones = (str(form.get(name, "")) for name in ("language", "zone", "phones"))
    if spoken not in ("", *language.LANGUAGES) or zone not in ("", *language.zones()):
        raise web.HTTPBadRequest
    chosen = Preferences(spoken, zone, "national" if phones == "national" else "international")
    return await _keep(request, login, chosen, "/settings?done=saved")


async def switch(request: web.Request) -> web.StreamResponse:
    """The language alone, from any page, and back to it."""
    form = await request.post()
    spoken = str(form.get("language", ""))
    if spoken not in language.LANGUAGES:
        raise web.HTTPBadRequest
    login = request[USER].login
    chosen = replace(await _chosen(request, login), language=spoken)
    return await _keep(request, login, chosen, render.own_path(str(form.get("next", "/"))))


async def _keep(request: web.Request, login: str, chosen: Preferences, then: str) -> web.StreamResponse:
    await request.app[DEPS].db.write(lambda tx: preferences.put(tx, login, chosen))
    audit.describe(request, "settings changed", login, " ".join(filter(None, astuple(chosen))))
    request.app[CHOSEN][login] = chosen
    response = render.see_other(then)
    response.del_cookie(COOKIE, path="/")
    return response


async def _chosen(request: web.Request, login: str) -> Preferences:
    known = request.app[CHOSEN]
    if login not in known:
        known[login] = await preferences.of(request.app[DEPS].db, login)
    return known[login]


def _reader(deps: Deps, chosen: Preferences) -> Reader:
    server = deps.settings.server
    national = chosen.phones == "national"
    return Reader(chosen.language, chosen.zone or server.time_zone, server.country, national, server.currency)
