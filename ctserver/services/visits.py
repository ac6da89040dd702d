"""A page view: which session it belongs to, and which numbers it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from ctserver import ids
from ctserver.config import Pool, Settings, Site
from ctserver.domain import pool, rules, session
from ctserver.domain.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from ctserver.domain.model import DIRECT, Lease, Session, Source, Visit, VisitorFacts
from ctserver.storage import leases, sessions
from ctserver.storage.db import Database, Transaction

SHARING_LOOKS_BACK_MS = HOUR_MS
RUSH_MS = 20 * SECOND_MS
SEEN_EVERY_MS = MINUTE_MS  # a session that goes on without page views is written so often
BEAT, LEFT = "beat", "left"


class PageView(msgspec.Struct, frozen=True):
    """What the script said: texts as they came, cut to size by the one who read them."""

    site: str
    visitor: str
    url: str
    referrer: str
    title: str
    wants: tuple[str, ...] = ()
    session: str = ""  # of the same page view, when it has come upon more targets
    source: Source = DIRECT
    facts: VisitorFacts = msgspec.field(default_factory=VisitorFacts)


class Shown(msgspec.Struct, frozen=True):
    """What the script is told: who the visitor is, and a number for each target that is not to keep the page's own."""

    visitor: str
    session: str
    numbers: Mapping[str, str]
    hold_ms: int


def record(db: Database, settings: Settings, book: list[rules.Rule], view: PageView, now: int) -> asyncio.Future[Shown]:
    """Record the visit and lease its numbers. The answer comes when all is on disk."""
    return db.write(recording(settings, book, view, now))


def recording(settings: Settings, book: list[rules.Rule], view: PageView, now: int) -> Callable[[Transaction], Shown]:
    """The unit of work of `record`."""
    return _Plan(settings, book, settings.sites[view.site], view, now).run


def rule_book(settings: Settings) -> list[rules.Rule]:
    """The rules of ctserver.toml as the domain reads them."""
    book = []
    for number, rule in enumerate(settings.rules, 1):
        conditions = {name: tuple(getattr(rule, name)) for name in rules.CONDITIONS if getattr(rule, name)}
        show = ("pool", rule.pool) if rule.pool else ("static", rule.static) if rule.static else ("page", "")
        book.append(rules.Rule(str(number), show, rule.site, rule.target, conditions))
    return book


def facts_of(site: str, target: str, found: Source, known: VisitorFacts, url: str, referrer: str) -> rules.Facts:
    """What the rules are asked about a visit."""
    return rules.Facts(
        site=site,
        target=target,
        channel=known.channel,
        medium=found.medium,
        source=found.source,
        campaign=found.campaign,
        landing=url.partition("://")[2] or url,
        referrer=referrer.partition("://")[2] or referrer,
        region=known.region or known.country,
        device=known.device,
    )


def source_static(settings: Settings, site: str, found: Source) -> str | None:
    """The static number of this source: the one of its campaign before the one of all its campaigns."""
    fitting = [
        static
        for static in settings.static.values()
        if static.site == site
        and (static.source, static.medium) == (found.source, found.medium)
        and static.campaign in ("", found.campaign)
    ]
    return max(fitting, key=lambda static: bool(static.campaign)).number if fitting else None


class _Plan(msgspec.Struct, frozen=True):
    """One visit's unit of work."""

    settings: Settings
    book: list[rules.Rule]
    site: Site
    view: PageView
    now: int

    def run(self, tx: Transaction) -> Shown:
        current, is_new = self._session(tx)
        view = self.view
        if view.session != current.id:
            sessions.add_visit(tx, Visit(ids.new(self.now), current.id, self.now, view.url, view.title, view.referrer))
        numbers: dict[str, str] = {}
        hold_ms = 0
        given: dict[str, str | None] = {}
        targets = self.site.all_targets
        for target in view.wants:
            kind, name = self._decide(target, targets[target].pool, current)
            if kind == "pool":
                hold_ms = max(hold_ms, self.settings.pools[name].hold_minutes * MINUTE_MS)
                if name not in given:
                    given[name] = self._from_pool(tx, name, current, is_new=is_new)
                number = given[name]
            else:
                number = self.settings.static[name].number if kind == "static" else None
            if number:
                numbers[target] = number
        return Shown(current.visitor, current.id, numbers, hold_ms or 30 * MINUTE_MS)

    def _session(self, tx: Transaction) -> tuple[Session, bool]:
        """The session of this visit, and whether the visit opens it."""
        view = self.view
        found = view.source
        last = sessions.latest_session(tx, view.site, view.visitor) if view.visitor else None
        if last and session.resumes(last, found, self.now, self.site.session_minutes * MINUTE_MS):
            seen = last.seen(self.now)
            sessions.see_session(tx, seen)
            return seen, False
        id = ids.new(self.now)
        opened = Session(
            id=id,
            site=view.site,
            visitor=view.visitor or id,
            started_at=self.now,
            last_seen_at=self.now,
            landing_url=view.url,
            referrer=view.referrer,
            source=found,
            visitor_facts=view.facts,
        )
        sessions.add_session(tx, opened)
        return opened, True

    def _decide(self, target: str, own_pool: str, current: Session) -> tuple[str, str]:
        if self.site.static_only:
            number = source_static(self.settings, self.view.site, current.source)
            name = next((name for name, static in self.settings.static.items() if static.number == number), "")
            return ("static", name) if name else ("page", "")
        if not self.book:
            return ("pool", own_pool) if own_pool else ("page", "")
        facts = facts_of(
            self.view.site, target, current.source, current.visitor_facts, current.landing_url, current.referrer
        )
        return rules.decide(self.book, facts, own_pool).show

    def _from_pool(self, tx: Transaction, name: str, current: Session, *, is_new: bool) -> str | None:
        settings = self.settings.pools[name]
        until = self.now + settings.hold_minutes * MINUTE_MS
        if not is_new and (held := leases.held_lease(tx, current.id, name, self.now)):
            leases.extend_lease(tx, held, self.now, until)
            return held.number
        states, picked = self._free(tx, name, current, settings, is_new=is_new)
        if picked is None and settings.share:
            states, picked = self._shared(tx, name, current, settings, states)
        if picked is None:
            return self._instead(tx, name, current, settings)
        if picked.how == "shared":
            leases.add_shortage(tx, ids.new(self.now), self.now, self.view.site, name, current.id, "shared")
        seen = next(state.last_shown_at for state in states if state.number == picked.number)
        lease = Lease(ids.new(self.now), picked.number, name, current.id, picked.how, self.now, self.now, until)
        return picked.number if leases.take_number(tx, lease, seen) else None

    def _free(
        self, tx: Transaction, name: str, current: Session, settings: Pool, *, is_new: bool
    ) -> tuple[list[pool.NumberState], pool.Pick | None]:
        """A number that nobody holds; for one who is back after his time, his old one if nobody had it since."""
        if is_new:
            cool_down_ms = settings.cool_down_minutes * MINUTE_MS
            states = leases.next_numbers(tx, name, settings.numbers, self.now, cool_down_ms)
            return states, self._pick(states, current, settings, share=False)
        states = leases.number_states(tx, name, settings.numbers)
        for state in states:
            if state.holders and state.holders[0].session == current.id and state.holders[0].until <= self.now:
                return states, pool.Pick(state.number, "free")
        return states, self._pick(states, current, settings, share=False)

    def _shared(
        self, tx: Transaction, name: str, current: Session, settings: Pool, states: list[pool.NumberState]
    ) -> tuple[list[pool.NumberState], pool.Pick | None]:
        """A number to share. In a rush, when the whole pool was shown within seconds, the oldest is as good as any."""
        oldest = min(states, key=lambda state: state.last_shown_at)
        if self.now - oldest.last_shown_at < RUSH_MS:
            return [oldest], pool.Pick(oldest.number, "shared")
        states = leases.number_states(tx, name, settings.numbers)
        states = leases.with_holders(tx, name, states, self.now - SHARING_LOOKS_BACK_MS)
        return states, self._pick(states, current, settings, share=True)

    def _pick(
        self, states: list[pool.NumberState], current: Session, settings: Pool, *, share: bool
    ) -> pool.Pick | None:
        return pool.pick(
            states,
            pool.Newcomer("", current.region, current.device),  # nameless: what he holds himself was found before
            self.now,
            hold_ms=settings.hold_minutes * MINUTE_MS,
            cool_down_ms=settings.cool_down_minutes * MINUTE_MS,
            share=share,
        )

    def _instead(self, tx: Transaction, name: str, current: Session, settings: Pool) -> str | None:
        """No number of the pool: the static number of the visitor's source, else the overflow, else the page's own."""
        guaranteed = source_static(self.settings, self.view.site, current.source)
        overflow = self.settings.static[settings.overflow].number if settings.overflow else None
        shown = "static" if guaranteed else "overflow" if overflow else "page"
        leases.add_shortage(tx, ids.new(self.now), self.now, self.view.site, name, current.id, shown)
        return guaranteed or overflow


class Note(msgspec.Struct, frozen=True):
    """What the script said of what a visitor did. Analytics ids and properties may be known only after the page view."""

    visitor: str
    session: str
    kind: str
    number: str = ""
    ids: Mapping[str, str] = msgspec.field(default_factory=dict)
    properties: Mapping[str, str] = msgspec.field(default_factory=dict)


def note(db: Database, settings: Settings, said: Note, now: int) -> asyncio.Future[None]:
    """What a visitor did. A beat only keeps his session and his numbers with him; everything else is kept as a signal.

    Signals of sessions that are not this visitor's are dropped.
    """
    return db.write(noting(settings, said, now))


def noting(settings: Settings, said: Note, now: int) -> Callable[[Transaction], None]:
    """The unit of work of `note`."""
    signal_id = ids.new(now)

    def unit(tx: Transaction) -> None:
        found = sessions.session_by_id(tx, said.session)
        if found is None or found.visitor != said.visitor:
            return
        found = sessions.learn_facts(tx, found, said.ids, said.properties)
        if said.kind != LEFT and _goes_on(settings, found, now):
            sessions.see_again(tx, found.seen(now))
        if said.kind != BEAT:
            sessions.add_signal(tx, signal_id, said.session, said.number, said.kind, now)
        for lease in leases.last_leases(tx, said.session):
            if lease.pool in settings.pools:
                _keep(tx, settings.pools[lease.pool], said.kind, lease, now)

    return unit


def _goes_on(settings: Settings, found: Session, now: int) -> bool:
    """Was it seen not just now, but lately enough that a visit would continue it?"""
    site = settings.sites.get(found.site)
    if site is None or now - found.last_seen_at < SEEN_EVERY_MS:
        return False
    return session.resumes(found, DIRECT, now, site.session_minutes * MINUTE_MS)


def _keep(tx: Transaction, settings: Pool, kind: str, lease: Lease, now: int) -> None:
    """What he does keeps his number with him; when he leaves, not for long."""
    is_held, until = lease.until > now, now + settings.hold_minutes * MINUTE_MS
    if kind == LEFT:
        if is_held:
            leases.leave_lease(tx, lease, now, min(lease.until, now + settings.release_minutes * MINUTE_MS))
    elif is_held:
        leases.extend_lease(tx, lease, now, until)
    else:
        leases.show_again(tx, lease, ids.new(now), now, until)
