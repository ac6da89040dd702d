"""The web application: routes, limits and headers common to all."""

from __future__ import annotations

import logging
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from ctserver.http import (
    api,
    auth,
    demo,
    front,
    login,
    metrics,
    passwords,
    problems,
    reader,
    render,
    signin,
)
from ctserver.http.asked import MAX_BODY, NOT_NOW
from ctserver.http.dashboard import (
    account,
    audit,
    blocked,
    calls,
    deliveries,
    devices,
    journal,
    live,
    marks,
    missed,
    numbers,
    overview,
    pause,
    person,
    pools,
    quality,
    reports,
    system,
    users,
    visitors,
)
from ctserver.http.dashboard import callback as ringing
from ctserver.http.deps import DEPS, Deps
from ctserver.storage.db import StorageError

log = logging.getLogger(__name__)

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
BEGUN: web.RequestKey[bool] = web.RequestKey("begun", bool)  # its answer is on the way

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def make(deps: Deps) -> web.Application:
    """The application, ready to run."""
    app = web.Application(
        middlewares=[_guard, api.cors.middleware, auth.middleware, reader.middleware], client_max_size=MAX_BODY
    )
    app[DEPS] = deps
    app.on_response_prepare.append(api.cors.sign)
    app.on_response_prepare.append(_begun)
    app.router.add_get("/health", health)
    for route in front.ROUTES:
        app.router.add_route(route.method, route.path, partial(front.carry, route, deps.desk))
    ringing.add_routes(app)
    login.add_routes(app)
    passwords.add_routes(app)
    signin.add_routes(app)
    overview.add_routes(app)
    journal.add_routes(app)
    reports.add_routes(app)
    calls.add_routes(app)
    person.add_routes(app)
    blocked.add_routes(app)
    live.add_routes(app)
    marks.add_routes(app)
    pause.add_routes(app)
    missed.add_routes(app)
    quality.add_routes(app)
    visitors.add_routes(app)
    system.add_routes(app)
    numbers.add_routes(app)
    pools.add_routes(app)
    deliveries.add_routes(app)
    reader.add_routes(app)
    account.add_routes(app)
    devices.add_routes(app)
    users.add_routes(app)
    audit.add_routes(app)
    api.add_routes(app)
    metrics.add_routes(app)
    render.add_routes(app)
    if deps.settings.server.demo:
        demo.add_routes(app)
    return app


async def health(request: web.Request) -> web.Response:
    """200 when everything works, 503 with what does not."""
    state = await request.app[DEPS].health()
    body = {"ok": state.ok, **state.parts}
    return web.json_response(body, status=200 if state.ok else 503, headers={"Cache-Control": "no-store"})


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A body that is too large is refused before any of it is read, and the connection closed. No raw error reaches a
    person; every page carries the security headers."""
    if (request.content_length or 0) > MAX_BODY:
        return problems.too_large(MAX_BODY) if problems.is_for_programs(request) else front.too_large()
    if not _is_machine(request):
        reader.guess(request)
    if request.path.startswith("/v1/"):  # asked by visitors' browsers, often: no guard of people has a say here
        handler = request.match_info.handler
    try:
        await _read_form(request)
        response = await handler(request)
    except web.HTTPException as error:
        response = _refused(request, error)
    except web.RequestPayloadError:  # packed in a way that it is not
        response = _refused(request, web.HTTPBadRequest())
    except Exception as error:
        response = _failed(request, error)
    if not response.prepared and not request.path.startswith("/v1/"):  # those are no pages
        _secure(response)
    return response


async def _read_form(request: web.Request) -> None:
    """Once for all who ask for it. Raises HTTPBadRequest where a form is none: that is no failure of ours."""
    if request.path.startswith("/v1/") or request.content_type not in FORMS:
        return
    try:
        await request.post()
    except (web.HTTPException, OSError):
        raise
    except Exception as error:  # whatever the parser stumbles over
        raise web.HTTPBadRequest from error


def _refused(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """The refusal as whoever asked can read it. Raises it where it is good as it is."""
    if error.status >= 400 and problems.is_for_programs(request):
        return problems.of(error)
    if error.status < 400 or _is_machine(request):
        _secure(error)
        raise error
    return render.error_page(request, error.status)


async def _begun(request: web.Request, _response: web.StreamResponse) -> None:
    request[BEGUN] = True


def _failed(request: web.Request, error: Exception) -> web.StreamResponse:
    """An answer for whoever asked. One that has begun is cut off: another would become a part of it, and a file look whole. Raises
    ConnectionResetError then."""
    if isinstance(error, StorageError):
        log.error("%s %s: %s", request.method, request.path, error)
    elif BEGUN not in request or not isinstance(error, ConnectionError):  # else he has gone, which is no fault
        log.exception("%s %s failed", request.method, request.path)
    if BEGUN in request:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from error
    return _unavailable(request)


def _unavailable(request: web.Request) -> web.StreamResponse:
    if problems.is_for_programs(request):
        return problems.of(web.HTTPServiceUnavailable())
    if _is_machine(request):
        return front.response(NOT_NOW)
    return render.error_page(request, 503)


def _is_machine(request: web.Request) -> bool:
    if request.path == "/api/docs":  # a page for people
        return False
    return request.path.startswith(("/v1/", "/ct", "/health", "/static/", "/api/", "/odata/", "/metrics"))


def _secure(response: web.StreamResponse) -> None:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
