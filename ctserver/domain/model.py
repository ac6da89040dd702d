"""The nouns. Frozen values only; rules live in the modules named after them. They are msgspec's structures: a visit makes a
dozen, and each costs a third of what a frozen dataclass does.

Times are epoch milliseconds (UTC), phone numbers are E.164 with `+`, ids are time-ordered text (`ids.new`).
"""

from __future__ import annotations

import msgspec


class Source(msgspec.Struct, frozen=True):
    """Where a visitor came from, in the terms of Google Analytics 4.

    `click_ids` holds the advertising systems' own ids found in the landing URL (gclid, yclid, ...).
    """

    medium: str
    source: str
    campaign: str = ""
    term: str = ""
    content: str = ""
    click_ids: dict[str, str] = msgspec.field(default_factory=dict)


DIRECT = Source(medium="(none)", source="(direct)")


class VisitorFacts(msgspec.Struct, frozen=True):
    """What is known of the browser and its place; "" where it is not known.

    `device` is "desktop", "phone" or "tablet"; `country` ISO 3166-1, `region` and `city` English names; `ip` as much of
    the address as the settings keep; `ids` are the analytics systems' ids, `properties` the site's own.
    """

    channel: str = ""
    country: str = ""
    region: str = ""
    city: str = ""
    device: str = ""
    browser: str = ""
    os: str = ""
    ip: str = ""
    ids: dict[str, str] = msgspec.field(default_factory=dict)
    properties: dict[str, str] = msgspec.field(default_factory=dict)


class Session(msgspec.Struct, frozen=True):
    """A run of visits with one source."""

    id: str
    site: str
    visitor: str
    started_at: int
    last_seen_at: int
    landing_url: str
    referrer: str
    source: Source
    visitor_facts: VisitorFacts = msgspec.field(default_factory=lambda: VisitorFacts())

    def seen(self, now: int) -> Session:
        """The same, seen at `now`; the clock may have been set back."""
        return Session(
            self.id,
            self.site,
            self.visitor,
            self.started_at,
            max(now, self.last_seen_at),
            self.landing_url,
            self.referrer,
            self.source,
            self.visitor_facts,
        )

    @property
    def region(self) -> str:
        """The finest place that is known, for telling visitors apart."""
        return self.visitor_facts.region or self.visitor_facts.country

    @property
    def device(self) -> str:
        return self.visitor_facts.device


class Visit(msgspec.Struct, frozen=True):
    """One page view."""

    id: str
    session: str
    at: int
    url: str
    title: str
    referrer: str


class Lease(msgspec.Struct, frozen=True):
    """A number held by a session. `until` moves with every visit and heartbeat; rows are never deleted."""

    id: str
    number: str
    pool: str
    session: str
    how: str  # free (nobody else held it then) | shared
    shown_at: int
    seen_at: int
    until: int
    left_at: int | None = None

    def moved(self, seen_at: int, until: int, left_at: int | None = None) -> Lease:
        """The same, held until another time."""
        return Lease(self.id, self.number, self.pool, self.session, self.how, self.shown_at, seen_at, until, left_at)


class Signal(msgspec.Struct, frozen=True):
    """What a visitor did that makes a call likely."""

    session: str
    kind: str  # seen | revealed | tapped | copied | hidden | back | left
    at: int
    number: str = ""


class Attribution(msgspec.Struct, frozen=True):
    """The answer to whose call it is.

    `kind`: static (the number itself names the source), exact (one holder), tapped, likely, repeat,
    ambiguous (several holders, none stands out), none. `confidence` is a probability, 0 to 1.
    """

    kind: str
    confidence: float
    session: str | None = None
    source: Source | None = None
    why: str = ""


NOBODY = Attribution(kind="none", confidence=0.0)
