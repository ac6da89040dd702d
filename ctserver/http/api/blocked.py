"""Callers who are kept out."""

from __future__ import annotations

from pydantic import Field

from ctserver.http import audit
from ctserver.http.api import models
from ctserver.http.api.registry import Asked, Nothing, Problem, Taken, operation
from ctserver.services.blocked import BlackList, CannotBlock


class Why(Taken):
    why: str = Field(default="", max_length=200)


@operation("GET", "/blocked", "Blocked callers", part="Blocked callers", gives=models.Blocked)
async def list_blocked(asked: Asked[Nothing, Nothing]) -> models.Blocked:
    return _answer(asked.deps.black_list)


@operation(
    "PUT",
    "/blocked/{number}",
    "Keep a caller out, or with +4470* all whose number begins so",
    part="Blocked callers",
    body=Why,
    gives=models.Blocked,
)
async def block_caller(asked: Asked[Nothing, Why]) -> models.Blocked:
    deps, why = asked.deps, asked.body.why.replace("\x00", "")
    try:
        number = await deps.black_list.add(deps.db, asked.path("number"), why, asked.user.login, deps.now())
    except CannotBlock as refused:
        raise Problem(422, str(refused)) from refused
    audit.describe(asked.request, "caller blocked", number, why)
    return _answer(deps.black_list)


@operation("DELETE", "/blocked/{number}", "Let a caller through again", part="Blocked callers", gives=models.Blocked)
async def unblock_caller(asked: Asked[Nothing, Nothing]) -> models.Blocked:
    black_list = asked.deps.black_list
    number = black_list.read(asked.path("number"))
    if not await black_list.remove(asked.deps.db, number):
        raise Problem(404, f"{number} is not on the list; a number in ctserver.toml is removed there")
    audit.describe(asked.request, "caller let through", number)
    return _answer(black_list)


def _answer(black_list: BlackList) -> models.Blocked:
    entries = [
        models.BlockedCaller(number=entry.number, why=entry.why, login=entry.login, at=entry.at)
        for entry in black_list.entries.values()
    ]
    return models.Blocked(data=entries, settings=sorted(black_list.settled))
