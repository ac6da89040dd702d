"""What was told to whom: the log of deliveries, to send one again, and to test a channel or web hook."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ctserver.domain.rights import Scope
from ctserver.http import audit
from ctserver.http.api import models
from ctserver.http.api.registry import Asked, Nothing, Problem, Taken, operation
from ctserver.outbound import OutboundError
from ctserver.services.delivery import Delivery
from ctserver.storage import outbox
from ctserver.storage.db import Row


class DeliveriesQuery(Taken):
    """Which deliveries."""

    via: str = Field(default="", max_length=100, description="a `name` of /channels")
    state: Literal["", "waiting", "sending", "done", "failed", "dropped"] = ""
    cursor: str = Field(default="", max_length=40, description="of an earlier answer: what comes after it")
    limit: int = Field(default=100, ge=1, le=1000)


@operation(
    "GET", "/deliveries", "Deliveries, newest first", part="Deliveries", takes=DeliveriesQuery,
    gives=models.Deliveries,
)  # fmt: skip
async def list_deliveries(asked: Asked[DeliveriesQuery, Nothing]) -> models.Deliveries:
    query = asked.query
    wanted = outbox.Wanted(via=query.via, state=query.state, before=query.cursor)
    found = await outbox.page(asked.deps.db, wanted, asked.scope, query.limit)
    more = asked.next_page(found.older) if found.older else None
    return models.Deliveries(data=[_delivery(row, asked.scope) for row in found.rows], next=more)


@operation("GET", "/deliveries/{id}", "One delivery, with every try", part="Deliveries", gives=models.DeliveryTries)
async def get_delivery(asked: Asked[Nothing, Nothing]) -> models.DeliveryTries:
    row = await _row(asked)
    tries, open_ = await outbox.tries_of(asked.deps.db, row["id"]), _names_nobody(row, asked.scope)
    shown = [
        models.Try(at=one["at"], took_ms=one["took_ms"], outcome=one["outcome"], answer=one["answer"] if open_ else "")
        for one in tries
    ]
    return models.DeliveryTries(**dict(_delivery(row, asked.scope)), said=_said(row, asked.scope), log=shown)


@operation(
    "POST", "/deliveries/{id}/again", "Send it once more, whatever became of it", part="Deliveries", gives=models.Delivery
)  # fmt: skip
async def send_again(asked: Asked[Nothing, Nothing]) -> models.Delivery:
    row = await _row(asked)
    if not await _of(asked).again(row["id"]):
        raise Problem(404, "it is being sent now, or there is no such delivery any more")
    audit.describe(asked.request, "sent again", row["id"], f"{row['via']} {row['addressee']}".strip())
    return _delivery(await _row(asked), asked.scope)


@operation(
    "GET", "/channels", "Web hooks and channels, and what is wrong with them", part="Deliveries", gives=models.Channels
)
async def list_channels(asked: Asked[Nothing, Nothing]) -> models.Channels:
    delivery = asked.deps.delivery
    if delivery is None:
        return models.Channels(data=[])
    problems = delivery.problems()
    return models.Channels(
        data=[
            models.Channel(name=name, title=via.title, problem=problems.get(name, ""))
            for name, via in delivery.vias.items()
        ]
    )


@operation("POST", "/channels/{name}/test", "Send a test message", part="Deliveries", gives=models.Tested)
async def test_channel(asked: Asked[Nothing, Nothing]) -> models.Tested:
    delivery, name = _of(asked), asked.path("name")
    if asked.scope.limited:
        raise Problem(403, "a channel is tested by those who see all calls")
    if name not in delivery.vias:
        raise Problem(404, "there is no such channel; /channels names them")
    audit.describe(asked.request, "channel tested", name)
    try:
        return models.Tested(taken=True, answer=await delivery.test(name))
    except OutboundError as error:
        return models.Tested(taken=False, answer=str(error))


def _of(asked: Asked[Nothing, Nothing]) -> Delivery:
    if asked.deps.delivery is None:
        raise Problem(404, "nothing is delivered here")
    return asked.deps.delivery


async def _row(asked: Asked[Nothing, Nothing]) -> Row:
    row = await outbox.one(asked.deps.db, asked.path("id"), asked.scope)
    if row is None:
        raise Problem(404, "there is no such delivery")
    return row


def _delivery(row: Row, scope: Scope) -> models.Delivery:
    return models.Delivery(
        id=row["id"],
        via=row["via"],
        to=row["addressee"] if _names_nobody(row, scope) else "",
        kind=row["kind"],
        call=row["call"],
        state=row["state"],
        tries=row["tries"],
        written_at=row["written_at"],
        due_at=row["due_at"] if row["state"] == outbox.WAITING else None,
        settled_at=row["settled_at"],
        answer=row["answer"] if _names_nobody(row, scope) else "",
    )


def _names_nobody(row: Row, scope: Scope) -> bool:
    """May this be read: is it no message to a caller, or may callers' numbers be read?"""
    return scope.callers or not row["addressee"] or row["addressee"] != row["topic"]


def _said(row: Row, scope: Scope) -> str:
    """What it was told; callers' numbers stand in it."""
    return str(row["said"]) if scope.callers else ""
