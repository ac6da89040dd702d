"""Visitors and their sessions."""

from __future__ import annotations

from pydantic import Field

from ctserver.http.api import models, resources
from ctserver.http.api.registry import Asked, Nothing, Problem, Taken, operation
from ctserver.http.api.types import END, START, Moment
from ctserver.storage import feed, sessions, visitors


class PageQuery(Taken):
    cursor: str = Field(default="", max_length=100, description="the id after which to go on")
    limit: int = Field(default=100, ge=1, le=1000)


class SessionsQuery(PageQuery):
    since: Moment = Field(default=START, description="began then or later")
    until: Moment = Field(default=END, description="began before that")
    site: str = Field(default="", max_length=100)
    visitor: str = Field(default="", max_length=100)


@operation(
    "GET", "/sessions", "Sessions, the newest first", part="Visitors", takes=SessionsQuery, gives=models.Sessions
)
async def list_sessions(asked: Asked[SessionsQuery, Nothing]) -> models.Sessions:
    query = asked.query
    rows, on = await feed.sessions(
        asked.deps.db, asked.scope, query.since, query.until, query.site, query.visitor, query.cursor, query.limit
    )
    return models.Sessions(data=[resources.session(row) for row in rows], next=asked.next_page(on) if on else None)


@operation("GET", "/sessions/{id}", "One session with its page views", part="Visitors", gives=models.WholeSession)
async def get_session(asked: Asked[Nothing, Nothing]) -> models.WholeSession:
    db = asked.deps.db
    row = await visitors.one(db, asked.scope, asked.path("id"))
    if row is None:
        raise Problem(404, "there is no such session")
    _found, visits, signals = await sessions.session_path(db, row["id"])
    return models.WholeSession(
        **dict(resources.session(row)),
        visits=[models.Visit(at=v.at, url=v.url, title=v.title, referrer=v.referrer) for v in visits],
        signals=[models.Signal(at=s["at"], kind=s["kind"], number=s["number"]) for s in signals],
    )


@operation("GET", "/visitors", "Visitors, the newest first", part="Visitors", takes=PageQuery, gives=models.Visitors)
async def list_visitors(asked: Asked[PageQuery, Nothing]) -> models.Visitors:
    query = asked.query
    rows, on = await feed.visitors(asked.deps.db, asked.scope, query.cursor, query.limit)
    return models.Visitors(data=[resources.visitor(row) for row in rows], next=asked.next_page(on) if on else None)


@operation("GET", "/visitors/{id}", "One visitor", part="Visitors", gives=models.Visitor)
async def get_visitor(asked: Asked[Nothing, Nothing]) -> models.Visitor:
    row = await feed.visitor(asked.deps.db, asked.scope, asked.path("id"))
    if row is None:
        raise Problem(404, "there is no such visitor")
    return resources.visitor(row)
