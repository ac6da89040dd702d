"""The resources as programs see them. Flat on purpose: a row of a table, a line of a spreadsheet. Times are ISO 8601 in UTC, durations
whole seconds, phone numbers E.164, "" what is not known."""

from __future__ import annotations

from pydantic import Field

from ctserver.http.api.registry import Model
from ctserver.http.api.types import Time


class Call(Model):
    """A call, as it is now."""

    id: str
    site: str
    did: str = Field(description="the number that was dialled")
    caller: str = Field(description='"" when withheld; masked for those without the right `callers`')
    caller_name: str
    line: str
    state: str = Field(description="arrived, ringing, talking, ended")
    outcome: str = Field(description='answered, missed, blocked; "" while it goes on')
    reason: str
    arrived_at: Time
    ringing_at: Time | None
    answered_at: Time | None
    ended_at: Time | None
    ring_seconds: int = Field(description="until the answer or the end")
    talk_seconds: int
    answered_by: str = Field(description="the channel")
    person: str = Field(description='who answered, as reports name him: "alice" of the channel PJSIP/alice-0000000c')
    hangup_cause: int | None = Field(description="Q.850")
    attribution: str = Field(description="static, exact, tapped, likely, repeat, ambiguous, none")
    confidence: float = Field(description="probability, 0 to 1")
    session: str
    channel: str = Field(description="the channel of advertising")
    medium: str
    source: str
    campaign: str
    term: str
    content: str
    click_ids: dict[str, str]
    category: str
    value: int | None = Field(description="what the call was worth, in hundredths")
    tags: list[str]
    note: str
    recording: bool = Field(description="there is one, and it may be heard; that its time is over is no change")
    pbx: str
    linkedid: str
    updated_at: Time


class Calls(Model):
    """A page of calls."""

    data: list[Call]
    next: str | None = Field(description="the address of the next page, null at the end")
    cursor: str = Field(
        description="keep that of the first page (with `updated_after`: of the last): as `updated_after` it brings what changed since"
    )


class Leg(Model):
    """One party's part of a call."""

    channel: str
    started_at: Time
    ringing_at: Time | None
    answered_at: Time | None
    ended_at: Time | None
    status: str = Field(description="Asterisk's DIALSTATUS")
    cause: int | None = Field(description="Q.850")


class Legs(Model):
    data: list[Leg]


class Recording(Model):
    """What is known of a call's recording; the sound is at `url`."""

    state: str = Field(description="waiting, ready, missing, expired (removed since)")
    seconds: float
    url: str


class Pause(Model):
    """Is the recording of a call in progress paused, and when does it resume by itself?"""

    paused: bool
    until: Time | None = Field(description="null: not by itself")


class Session(Model):
    """A run of visits with one source."""

    id: str
    site: str
    visitor: str
    started_at: Time
    last_seen_at: Time
    landing_url: str
    referrer: str
    channel: str
    medium: str
    source: str
    campaign: str
    term: str
    content: str
    click_ids: dict[str, str]
    country: str
    region: str
    city: str
    device: str
    browser: str
    os: str


class Sessions(Model):
    data: list[Session]
    next: str | None


class Visit(Model):
    """A page view."""

    at: Time
    url: str
    title: str
    referrer: str


class Signal(Model):
    """What a visitor did that makes a call likely: seen, revealed, tapped, copied, ..."""

    at: Time
    kind: str
    number: str


class WholeSession(Session):
    visits: list[Visit]
    signals: list[Signal]


class Visitor(Model):
    """A browser."""

    id: str
    first_seen_at: Time
    last_seen_at: Time
    sessions: int


class Visitors(Model):
    data: list[Visitor]
    next: str | None


class Number(Model):
    """A tracked number."""

    number: str
    site: str
    line: str
    pool: str = Field(description='"" for a static number')
    medium: str
    source: str
    campaign: str
    shown: bool = Field(description="a visitor holds it now")
    held_until: Time | None


class Numbers(Model):
    data: list[Number]


class BlockedCaller(Model):
    """Somebody whom people keep out."""

    number: str = Field(description="E.164, or its beginning with * behind it")
    why: str
    login: str
    at: Time


class Blocked(Model):
    data: list[BlockedCaller]
    settings: list[str] = Field(description="those of ctserver.toml, which are changed there")


class Pool(Model):
    """Numbers given to visitors in turn."""

    id: str
    numbers: int
    shown: int
    free: int
    hold_minutes: int


class Pools(Model):
    data: list[Pool]


class Holder(Model):
    """A session that holds or held a number."""

    session: str
    visitor: str
    site: str
    exclusive: bool
    shown_at: Time
    last_seen_at: Time
    left_at: Time | None
    until: Time
    landing_url: str
    medium: str
    source: str
    campaign: str


class Holders(Model):
    number: str
    at: Time
    holders: list[Holder]


class Tag(Model):
    tag: str
    calls: int


class Tags(Model):
    data: list[Tag]


class Note(Model):
    """What somebody wrote of a call; the last who did."""

    call: str
    text: str
    login: str
    at: Time


class Notes(Model):
    data: list[Note]
    next: str | None = Field(description="the address of the next page")


class Problem(Model):
    """An error (RFC 9457)."""

    status: int
    title: str
    detail: str


class Delivery(Model):
    """A fact on its way to a web hook or a person."""

    id: str
    via: str = Field(description="`name` of the web hook or channel")
    to: str = Field(description="as the channel writes addresses; of a web hook the host")
    kind: str = Field(description="call.missed, disk, ...")
    call: str = Field(description='its id; "" where it is about none')
    state: str = Field(description="waiting, sending, done, failed (given up), dropped (not needed any more)")
    tries: int
    written_at: Time
    due_at: Time | None = Field(description="when it is tried next, of what waits")
    settled_at: Time | None
    answer: str = Field(description="the other side's words, or why it was dropped")


class Deliveries(Model):
    data: list[Delivery]
    next: str | None = Field(description="the address of the next page, null at the end")


class Try(Model):
    at: Time
    took_ms: int
    outcome: str = Field(description="done, retry, refused (our key), failed")
    answer: str


class DeliveryTries(Delivery):
    """With every try, the first one first."""

    said: str = Field(description='what it was told; "" for those without the right `callers`')
    log: list[Try]


class Channel(Model):
    """A web hook or a channel to people."""

    name: str
    title: str
    problem: str = Field(description='why it does not work now; "" when it does')


class Channels(Model):
    data: list[Channel]


class Tested(Model):
    """What the other side said to a test."""

    taken: bool
    answer: str
