"""Calls, their legs and recordings; and what people say of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiohttp import web
from pydantic import Field

from ctserver import ids
from ctserver.domain import category as trade
from ctserver.domain import phone
from ctserver.domain.rights import Scope
from ctserver.http import audit
from ctserver.http.api import models, resources
from ctserver.http.api.registry import Asked, Nothing, Problem, Taken, operation
from ctserver.http.api.types import END, START, Moment, cursor, place
from ctserver.http.dashboard import pause
from ctserver.http.dashboard.calls import recording_file
from ctserver.http.dashboard.sound import send_file
from ctserver.http.deps import Deps
from ctserver.services.pauses import NotDone, PbxAway
from ctserver.storage import calls, feed, marks, recordings
from ctserver.storage.db import Row, Transaction
from ctserver.storage.feed import Wanted

REFUSALS = {
    "over": "nobody is talking in this call",
    "paused": "the recording is paused already",
    "running": "the recording is not paused",
    "unrecorded": "Asterisk is not recording this call",
}
FIRST = (END + 1, "")  # before everything, when the newest come first


class CallFilter(Taken):
    """Which calls. Texts are compared as they are."""

    since: Moment = Field(default=START, description="arrived then or later")
    until: Moment = Field(default=END, description="arrived before that")
    site: str = Field(default="", max_length=100)
    line: str = Field(default="", max_length=100)
    did: str = Field(default="", max_length=40, description="the number that was dialled")
    caller: str = Field(default="", max_length=40, description="takes the right `callers`")
    outcome: Literal["", "answered", "missed", "blocked"] = ""
    source: str = Field(default="", max_length=300)
    campaign: str = Field(default="", max_length=300)

    def wanted(self, deps: Deps, scope: Scope) -> Wanted:
        """Raises Problem."""
        if self.caller and not scope.callers:
            raise Problem(403, "caller: you have not the right to search for callers")
        country = deps.settings.server.country
        did, caller = (phone.from_trunk(number, country) for number in (self.did, self.caller))
        return Wanted(
            self.since, self.until, self.site or scope.only_site, self.line, did, caller, self.outcome, self.source, self.campaign,
        )  # fmt: skip


class CallsQuery(CallFilter):
    """`updated_after` changes the order: the oldest change comes first, and nothing that changes is missed."""

    updated_after: str = Field(default="", max_length=100, description="a `cursor` of an earlier answer, or a time")
    cursor: str = Field(default="", max_length=100, description="of an earlier answer: what comes after it")
    limit: int = Field(default=100, ge=1, le=1000)


class CallChange(Taken):
    """What is named is set."""

    category: str | None = Field(default=None, max_length=100, description='one of the site\'s categories, or ""')
    value: int | None = Field(default=None, ge=0, le=trade.MOST, description="what it was worth, in hundredths")
    note: str | None = Field(default=None, max_length=4000, description='"" removes it')
    tags: list[str] | None = Field(default=None, max_length=marks.MOST_TAGS, description="these and no others")


@operation("GET", "/calls", "Calls, the newest first", part="Calls", takes=CallsQuery, gives=models.Calls)
async def list_calls(asked: Asked[CallsQuery, Nothing]) -> models.Calls:
    query, db = asked.query, asked.deps.db
    wanted = query.wanted(asked.deps, asked.scope)
    now = await feed.last_change(db)  # before the calls are read: what changes meanwhile comes twice rather than never
    if query.updated_after:
        after = place(query.cursor, _change(query.updated_after))
        found = await feed.changed(db, asked.scope, wanted, after, query.limit)
    else:
        found = await feed.newest(db, asked.scope, wanted, place(query.cursor, FIRST), query.limit)
    # What is not asked for need not be looked through again.
    seen = found.place if found.more else max(found.place, now)
    return models.Calls(
        data=await as_calls(asked.deps, asked.scope, found.rows),
        next=asked.next_page(cursor(*found.place)) if found.more else None,
        cursor=cursor(*(seen if query.updated_after else now)),
    )


@operation("GET", "/calls/{id}", "One call", part="Calls", gives=models.Call)
async def get_call(asked: Asked[Nothing, Nothing]) -> models.Call:
    return (await as_calls(asked.deps, asked.scope, [await _call(asked)]))[0]


@operation(
    "PATCH",
    "/calls/{id}",
    "Set category, value, note and tags of a call",
    part="Calls",
    body=CallChange,
    gives=models.Call,
)
async def change_call(asked: Asked[Nothing, CallChange]) -> models.Call:
    row, change, deps, login = await _call(asked), asked.body, asked.deps, asked.user.login
    site = deps.settings.sites.get(row["site"])
    if change.category and change.category not in trade.of_site(site.categories if site else []):
        raise Problem(422, "category: not one of this site's")
    wanted = None if change.tags is None else [_tag(tag) for tag in change.tags]
    id, now, given = row["id"], deps.now(), change.model_fields_set

    def unit(tx: Transaction) -> None:
        if change.category is not None:
            marks.set_category(tx, id, change.category)
        if "value" in given:
            marks.set_value(tx, id, change.value)
        if change.note is not None:
            marks.put_note(tx, id, change.note.replace("\x00", "").strip(), login, now)
        if wanted is not None:
            before = marks.tags(tx, id)
            for tag in set(before) - set(wanted):
                marks.remove_tag(tx, id, tag)
            for tag in wanted:
                marks.add_tag(tx, id, tag, login, now)
            deps.tell_tags(tx, id, before)
        calls.touch(tx, id)

    await deps.db.write(unit)
    deps.wake()
    audit.describe(asked.request, "call changed", id, " ".join(sorted(given)))
    return (await as_calls(deps, asked.scope, [await _call(asked)]))[0]


@operation("GET", "/calls/{id}/legs", "The parties of a call", part="Calls", gives=models.Legs)
async def list_legs(asked: Asked[Nothing, Nothing]) -> models.Legs:
    rows = await calls.legs(asked.deps.db, (await _call(asked))["id"])
    return models.Legs(data=[resources.leg(row, asked.scope) for row in rows])


@operation("GET", "/calls/{id}/recording", "What is known of a call's recording", part="Calls", gives=models.Recording)
async def get_recording(asked: Asked[Nothing, Nothing]) -> models.Recording:
    id = (await _call(asked))["id"]
    row = await recordings.of_call(asked.deps.db, id)
    if row is None:
        raise Problem(404, "this call was not recorded")
    return models.Recording(state=row["state"], seconds=row["millis"] / 1000, url=f"/api/v1/calls/{id}/recording/sound")


@operation("GET", "/calls/{id}/recording/sound", "The sound, the caller on the left", part="Calls", kind="audio/wav")
async def get_sound(asked: Asked[Nothing, Nothing]) -> web.StreamResponse:
    file = await recording_file(asked.request)
    audit.describe(asked.request, "downloaded", asked.path("id"))
    return send_file(file, download=True)


@operation(
    "POST",
    "/calls/{id}/recording/pause",
    "Pause the recording of a call in progress",
    part="Calls",
    gives=models.Pause,
)
async def pause_recording(asked: Asked[Nothing, Nothing]) -> models.Pause:
    return await _pause(asked, paused=True)


@operation("POST", "/calls/{id}/recording/resume", "Resume a paused recording", part="Calls", gives=models.Pause)
async def resume_recording(asked: Asked[Nothing, Nothing]) -> models.Pause:
    return await _pause(asked, paused=False)


@operation("GET", "/tags", "Tags in use", part="Calls", gives=models.Tags)
async def list_tags(asked: Asked[Nothing, Nothing]) -> models.Tags:
    rows = await feed.tags(asked.deps.db, asked.scope)
    return models.Tags(data=[models.Tag(tag=row["tag"], calls=row["calls"]) for row in rows])


class NotesQuery(Taken):
    cursor: str = Field(default="", max_length=26, description="of an earlier answer: what comes after it")
    limit: int = Field(default=100, ge=1, le=1000)


@operation(
    "GET", "/notes", "Notes, of the newest calls first", part="Calls", takes=NotesQuery, gives=models.Notes
)  # fmt: skip
async def list_notes(asked: Asked[NotesQuery, Nothing]) -> models.Notes:
    query = asked.query
    rows = await feed.notes(asked.deps.db, asked.scope, query.cursor, query.limit + 1)
    shown = rows[: query.limit]
    found = [models.Note(call=row["call"], text=row["text"], login=row["login"], at=row["at"]) for row in shown]
    return models.Notes(data=found, next=asked.next_page(shown[-1]["call"]) if len(rows) > query.limit else None)


async def as_calls(deps: Deps, scope: Scope, rows: Sequence[Row]) -> list[models.Call]:
    """Rows of storage.feed as calls, with their tags."""
    tags = await feed.tags_of(deps.db, [row["id"] for row in rows])
    return [resources.call(row, scope, tags.get(row["id"], ())) for row in rows]


async def _pause(asked: Asked[Nothing, Nothing], *, paused: bool) -> models.Pause:
    id = (await _call(asked))["id"]
    try:
        until = await pause.change(asked.request, id, paused=paused)
    except PbxAway as error:
        raise Problem(503, "Asterisk does not answer") from error
    except NotDone as error:
        raise Problem(409, REFUSALS.get(str(error), str(error))) from error
    return models.Pause(paused=paused, until=until)


async def _call(asked: Asked[Nothing, CallChange] | Asked[Nothing, Nothing]) -> Row:
    row = await feed.one(asked.deps.db, asked.scope, asked.path("id"))
    if row is None:
        raise Problem(404, "there is no such call")
    return row


def _change(text: str) -> tuple[int, str]:
    """`updated_after`: a cursor, or a time."""
    if "." in text and text.partition(".")[0].isdigit():
        return place(text, (0, ""))
    try:
        return int(CallFilter.model_validate({"since": text}).since), ids.LAST
    except ValueError:
        raise Problem(400, "updated_after: a cursor of an earlier answer, or a time") from None


def _tag(text: str) -> str:
    tag = text.replace("\x00", "").strip().lower()
    if not 0 < len(tag) <= 40:
        raise Problem(422, "tags: each has 1 to 40 characters")
    return tag
