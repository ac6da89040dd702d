"""A page view: which session it belongs to, and which number it is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ctserver import ids
from ctserver.config import Settings, Site
from ctserver.domain import pool, session, source
from ctserver.domain.model import Lease, Session, Visit
from ctserver.storage import sessions
from ctserver.storage.db import Database, Transaction

TARGET = "main"


@dataclass(frozen=True, slots=True)
class PageView:
    """What the script said: texts as they came, cut to size by the one who read them."""

    site: str
    visitor: str
    url: str
    referrer: str
    title: str
    wants_number: bool = True
    device: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the script is told: who the visitor is, and the number to show (None: the page's own)."""

    visitor: str
    session: str
    number: str | None
    hold_ms: int


async def record(db: Database, settings: Settings, view: PageView, now: int) -> Shown:
    """Record the visit and lease a number. The answer comes when both are on disk."""
    site = settings.sites[view.site]
    plan = _Plan(settings, site, view, now, ids.new(now), ids.new(now), ids.new(now))
    return await db.write(plan.run)


@dataclass(frozen=True, slots=True)
class _Plan:
    """One visit's unit of work; its ids are made before, so that it can run again."""

    settings: Settings
    site: Site
    view: PageView
    now: int
    session_id: str
    visit_id: str
    lease_id: str

    def run(self, tx: Transaction) -> Shown:
        current, is_new = self._session(tx)
        view = self.view
        sessions.add_visit(tx, Visit(self.visit_id, current.id, self.now, view.url, view.title, view.referrer))
        number = self._number(tx, current, is_new=is_new) if view.wants_number and self.site.pool else None
        return Shown(current.visitor, current.id, number, self._hold_ms())

    def _session(self, tx: Transaction) -> tuple[Session, bool]:
        """The session of this visit, and whether the visit opens it."""
        view = self.view
        found = source.classify(view.url, view.referrer, self.site.domains)
        last = sessions.latest_session(tx, view.site, view.visitor) if view.visitor else None
        if last and session.resumes(last, found, self.now):
            sessions.touch_session(tx, last.id, self.now)
            return replace(last, last_seen_at=self.now), False
        opened = Session(
            id=self.session_id,
            site=view.site,
            visitor=view.visitor or self.session_id,
            started_at=self.now,
            last_seen_at=self.now,
            landing_url=view.url,
            referrer=view.referrer,
            source=found,
            device=view.device,
        )
        sessions.add_session(tx, opened)
        return opened, True

    def _number(self, tx: Transaction, current: Session, *, is_new: bool) -> str | None:
        until = self.now + self._hold_ms()
        if not is_new and (held := sessions.extend_lease(tx, current.id, self.site.pool, self.now, until)):
            return held
        states = sessions.next_numbers(tx, self.site.pool, self.settings.pools[self.site.pool].numbers, self.now)
        picked = pool.pick(states, pool.Newcomer(current.id, current.region, current.device), self.now)
        if picked is None:
            return None
        seen = next(state for state in states if state.number == picked.number)
        lease = Lease(self.lease_id, picked.number, self.site.pool, current.id, self.now, until)
        return picked.number if sessions.take_number(tx, lease, seen.last_shown_at) else None

    def _hold_ms(self) -> int:
        pool_of_site = self.settings.pools.get(self.site.pool)
        return pool_of_site.hold_minutes * 60_000 if pool_of_site else 0


BEAT, LEFT = "beat", "left"


async def note(
    db: Database, settings: Settings, visitor: str, session_id: str, kind: str, number: str, now: int
) -> None:
    """What a visitor did. A beat only keeps his number with him; everything else is kept as a signal.

    Signals of sessions that are not this visitor's are dropped.
    """
    signal_id = ids.new(now)

    def unit(tx: Transaction) -> None:
        found = sessions.session_by_id(tx, session_id)
        if found is None or found.visitor != visitor:
            return
        if kind != BEAT:
            sessions.add_signal(tx, signal_id, session_id, number, kind, now)
        if kind == LEFT:
            sessions.mark_left(tx, session_id, now)
            return
        site = settings.sites.get(found.site)
        if site and site.pool:
            sessions.extend_lease(tx, session_id, site.pool, now, now + settings.pools[site.pool].hold_minutes * 60_000)

    await db.write(unit)
