"""Jinja2, its filters, and the static files with versioned addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Mapping
from functools import lru_cache, partial
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from ctserver import __version__, files, language
from ctserver.domain import reasons
from ctserver.domain.words import N_
from ctserver.http.deps import DEPS, USER
from ctserver.http.pages import shown_to
from ctserver.language import local, phone

_KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_ERRORS = {
    400: (
        N_("This request could not be read"),
        N_("Something in it is not valid."),
        N_("Go back and try again."),
    ),
    403: (
        N_("Not allowed"),
        N_("The form has expired, or you are not allowed to do that."),
        N_("Reload the page and try again."),
    ),
    404: (N_("There is no such page"), N_("It may have been removed, or the address may be mistyped."), ""),
    405: (N_("Not possible here"), N_("This address does not accept that kind of request."), ""),
    503: (
        N_("Not now"),
        N_("The server could not do that. Calls still go through."),
        N_("Try again in a moment."),
    ),
}


def add_routes(app: web.Application) -> None:
    app.router.add_get("/static/{path:[a-z0-9_./-]+}", static)
    app.router.add_get("/favicon.ico", _favicon)


def page(request: web.Request, template: str, context: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """A page or a fragment, written for its reader; see `fragment`."""
    text = fragment(request, template, context)
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


def fragment(request: web.Request, template: str, context: Mapping[str, Any]) -> str:
    """The text of a template.

    Every template has user, csrf, health, version, flash, now, lang, languages, dot_of(source), dotted and pages_of(group) for the navigation.
    """
    user = request.get(USER)
    common = {
        "lang": language.reader().language,
        "languages": language.LANGUAGES,
        "here": request.path_qs,
        "dotted": _dotted(request.app),
        "pages_of": partial(shown_to, user, _built(request.app)),
        "user": user,
        "csrf": user.csrf if user else "",
        "can_call_back": _can_call_back(request),
        "currency": language.currency_sign(),
        "dot_of": request.app[DEPS].colours.of,
        "page": "",
        "health": None,
        "version": __version__,
        "flash": None,
        "now": request.app[DEPS].now(),
    }
    return environment().get_template(template).render({**common, **context})


def piece(template: str, **values: Hashable) -> Markup:
    """A piece of a page that is written once for as long as it is the same: `values` and the reader are all that it depends on,
    and its template has nothing else."""
    return _piece(template, language.reader(), tuple(values.items()))


@lru_cache(maxsize=1024)  # a busy Live page has some hundred
def _piece(template: str, _reader: language.Reader, values: tuple[tuple[str, Hashable], ...]) -> Markup:
    return Markup(environment().get_template(template).render(dict(values)))  # noqa: S704 - written by a template


def _dotted(app: web.Application) -> tuple[str, ...]:
    """The pages where something waits for a person, as far as it is known without asking the database."""
    delivery = app[DEPS].delivery
    return ("deliveries",) if delivery and delivery.problems() else ()


def _can_call_back(request: web.Request) -> bool:
    callbacks = request.app[DEPS].callbacks
    return callbacks is not None and callbacks.possible


def error_page(request: web.Request, status: int) -> web.Response:
    """An error in words; never the raw one."""
    title, text, todo = map(language.gettext, _ERRORS.get(status, _ERRORS[503 if status >= 500 else 400]))
    return page(request, "error.html", {"status": status, "title": title, "text": text, "todo": todo}, status=status)


async def static(request: web.Request) -> web.StreamResponse:
    """A file of web/static. With the version that `asset` gives, it may be kept for ever."""
    path = request.match_info["path"]
    found = _static(path)
    if found is None:
        raise web.HTTPNotFound
    body, tag, kind = found
    keep = "max-age=31536000, immutable" if request.query.get("v") == tag else "no-cache"
    headers = {"Cache-Control": keep, "ETag": f'"{tag}"'}
    if request.headers.get("If-None-Match") == f'"{tag}"':
        return web.Response(status=304, headers=headers)
    response = web.Response(body=body, content_type=kind, headers=headers)
    response.enable_compression()
    return response


def source(path: str) -> str:
    """The text of a static file, for an address of its own."""
    found = _static(path)
    if found is None:
        raise web.HTTPNotFound
    return found[0].decode()


def see_other(location: str) -> web.Response:
    """303 to a path of ours."""
    return web.Response(status=303, headers={"Location": location})


def own_path(target: str) -> str:
    """A path of this site; anything else leads home. Browsers drop control characters and read \\ as /."""
    is_path = target.startswith("/") and target[1:2] not in ("/", "\\")
    return target if is_path and target.isprintable() and target.isascii() and " " not in target else "/"


async def _favicon(_: web.Request) -> web.StreamResponse:
    return see_other(asset("favicon.svg"))


def asset(path: str) -> str:
    """The address of a static file, with its version."""
    found = _static(path)
    return f"/static/{path}?v={found[1]}" if found else f"/static/{path}"


@lru_cache(maxsize=256)
def _static(path: str) -> tuple[bytes, str, str] | None:
    root = (files.folder("web") / "static").resolve()
    file = (root / path).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        return None
    body = file.read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:12], _KINDS.get(file.suffix, "text/plain")


@pass_context
def _ago(context: Context, ms: int) -> str:
    return language.ago(ms, context["now"])


@pass_context
def _moment(context: Context, ms: int) -> str:
    return language.moment(ms, context["now"])


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one Jinja2 environment."""
    made = Environment(
        loader=FileSystemLoader(files.folder("web") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    made.install_gettext_callables(language.gettext, language.ngettext, newstyle=True, pgettext=language.pgettext)  # type: ignore[attr-defined]
    made.globals |= {"asset": asset, "piece": piece}
    made.filters |= {
        "ago": _ago,
        "clock": language.clock,
        "datetime": language.full,
        "day": language.day,
        "duration": language.duration,
        "fine_span": language.fine_span,
        "hour_minute": language.hour_minute,
        "isotime": lambda ms: local(ms).isoformat(timespec="milliseconds"),
        "moment": _moment,
        "money": language.money,
        "number": language.number,
        "percent": language.percent,
        "phone": language.phone,
        "said": language.gettext,  # a word that is a value: what a template's own gettext answers counts as HTML
        "size": language.size,
        "span": language.span,
        "tenths": language.tenths,
        "url": _breakable,
        "why": why,
    }
    return made


def _breakable(url: str) -> Markup:
    """An address that breaks where its parts end, not amid a word."""
    return Markup("<wbr>").join(re.findall(r"[^/?&=]+[/?&=]*|[/?&=]+", url))


def why(text: str) -> str:
    """The reason of an attribution, kept in English, in the reader's words."""
    reason = reasons.read(text)
    if reason is None:
        return text
    values = {"span": language.span(reason.values.get("seconds", 0)), "percent": reason.values.get("percent", 0)}
    return language.gettext(reasons.WORDS[reason.code]).format(**values)


def _built(app: web.Application) -> frozenset[str]:
    """The paths that this server answers."""
    return frozenset(resource.canonical for resource in app.router.resources())


__all__ = ["asset", "environment", "error_page", "local", "own_path", "page", "phone", "see_other", "static"]
