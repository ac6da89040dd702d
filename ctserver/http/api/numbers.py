"""Tracked numbers, pools, and who holds a number."""

from __future__ import annotations

from pydantic import Field

from ctserver.config import NumberUse
from ctserver.domain import phone
from ctserver.http.api import models
from ctserver.http.api.registry import Asked, Nothing, Problem, Taken, operation
from ctserver.http.api.types import Moment
from ctserver.storage import leases, sessions
from ctserver.storage.db import Row


class HolderQuery(Taken):
    at: Moment | None = Field(default=None, description="at this time instead of now")


@operation("GET", "/numbers", "Tracked numbers", part="Numbers", gives=models.Numbers)
async def list_numbers(asked: Asked[Nothing, Nothing]) -> models.Numbers:
    holders = await _holders(asked)
    seen = [use for use in asked.deps.uses.values() if asked.scope.sees(use.site, use.line)]
    return models.Numbers(data=[_number(use, holders.get(use.number)) for use in seen])


@operation("GET", "/pools", "Pools, as they are now", part="Numbers", gives=models.Pools)
async def list_pools(asked: Asked[Nothing, Nothing]) -> models.Pools:
    holders, deps = await _holders(asked), asked.deps
    seen = {use.pool for use in deps.uses.values() if asked.scope.sees(use.site, use.line)}
    found = []
    for id, pool in deps.settings.pools.items():
        if id in seen:
            shown = sum(number in holders for number in pool.numbers)
            size = len(pool.numbers)
            found.append(
                models.Pool(id=id, numbers=size, shown=shown, free=size - shown, hold_minutes=pool.hold_minutes)
            )
    return models.Pools(data=found)


@operation(
    "GET",
    "/numbers/{number}/holder",
    "Who holds a number, the latest showing first",
    part="Numbers",
    takes=HolderQuery,
    gives=models.Holders,
)
async def get_holder(asked: Asked[HolderQuery, Nothing]) -> models.Holders:
    deps, scope = asked.deps, asked.scope
    try:
        number = phone.e164(asked.path("number"), deps.settings.server.country)
    except phone.NotANumber as error:
        raise Problem(404, str(error)) from error
    use = deps.uses.get(number)
    if use is None or not scope.sees(use.site, use.line):
        raise Problem(404, f"{number} is not a tracked number")
    at = deps.now() if asked.query.at is None else asked.query.at
    rows = await leases.holders_at(deps.db, number, at)
    return models.Holders(number=number, at=at, holders=[_holder(row) for row in rows if scope.sees_site(row["site"])])


async def _holders(asked: Asked[Nothing, Nothing]) -> dict[str, Row]:
    """The holder of each number that is held now."""
    now = asked.deps.now()
    return {row["number"]: row for row in await leases.holders_now(asked.deps.db) if row["until"] > now}


def _number(use: NumberUse, holder: Row | None) -> models.Number:
    source = use.source
    return models.Number(
        number=use.number,
        site=use.site,
        line=use.line,
        pool=use.pool,
        medium=source.medium if source else "",
        source=source.source if source else "",
        campaign=source.campaign if source else "",
        shown=holder is not None,
        held_until=holder["until"] if holder is not None else None,
    )


def _holder(row: Row) -> models.Holder:
    source = sessions.source_of(row)
    return models.Holder(
        session=row["session"],
        visitor=row["visitor"],
        site=row["site"],
        exclusive=row["how"] == "free",
        shown_at=row["shown_at"],
        last_seen_at=row["seen_at"],
        left_at=row["left_at"],
        until=row["until"],
        landing_url=row["landing_url"],
        medium=source.medium,
        source=source.source,
        campaign=source.campaign,
    )
