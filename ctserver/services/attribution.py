"""Whose call it is, with what this site has learnt; learning from its calls; and doing it again over the past."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from msgspec import structs

from ctserver import ids
from ctserver.config import NumberUse, Settings, number_uses
from ctserver.domain import phone
from ctserver.domain.attribution import NOBODY, Answer, CallFacts, Candidate, attribute
from ctserver.domain.calibration import Calibration, calibrate
from ctserver.domain.call import Call
from ctserver.domain.callback import SITE
from ctserver.domain.clock import DAY_MS
from ctserver.domain.delay import PUBLISHED, DelayModel
from ctserver.domain.learning import KnownCall, Lesson, seen_between
from ctserver.domain.reasons import Reason
from ctserver.services.facts import Facts
from ctserver.storage import attribution as evidence
from ctserver.storage import callbacks, calls, sessions
from ctserver.storage.db import Database, Transaction

LOOK_BACK_MS = 30 * DAY_MS  # showings and earlier calls older than this are not asked for
SURE = 0.95
AT_ONCE = 20  # calls learnt from in one read
FADE = 0.98  # of what was learnt, a day later: half of it after five weeks

T = TypeVar("T")


class Attributor:
    """Answers for one ctserver: the numbers and each site's model."""

    def __init__(self, settings: Settings, models: Mapping[str, DelayModel]) -> None:
        self.uses = number_uses(settings)
        self.settings = settings
        self.models = dict(models)

    @classmethod
    async def load(cls, db: Database, settings: Settings) -> Attributor:
        """With the models learnt so far."""
        return cls(settings, await evidence.models(db))

    def model(self, site: str) -> DelayModel:
        return self.models.get(site, PUBLISHED)

    def answer(self, tx: Transaction, call: Call) -> Answer:
        """Whose call is this, by all that was known when it arrived."""
        if asked := _asked_for(tx, call):
            return asked
        known = self._known(tx, call)
        return attribute(known.call, known.candidates, known.history, self.model(call.site))

    def answer_without_signals(self, tx: Transaction, call: Call) -> Answer:
        """As `answer`, had nobody tapped, copied or revealed anything, and nobody rung before."""
        known = self._known(tx, call)
        candidates = [replace(candidate, signals=()) for candidate in known.candidates]
        return attribute(known.call, candidates, model=self.model(call.site))

    def _known(self, tx: Transaction, call: Call) -> KnownCall:
        use = self.uses.get(call.did, NumberUse("", "", ""))
        at, since = call.arrived_at, call.arrived_at - LOOK_BACK_MS
        facts = CallFacts(call.did, at, call.caller, phone.country_of(call.caller), use.source)
        if use.source:
            return KnownCall(facts, ())
        shown_to = evidence.candidates(tx, call.did, since, at)
        site = self.settings.sites.get(call.site)
        if site is not None and not site.repeat_calls:
            return KnownCall(facts, shown_to)
        remembered = at - (site.repeat_days * DAY_MS if site else LOOK_BACK_MS)
        return KnownCall(facts, shown_to, evidence.history(tx, call.site, call.caller, call.did, remembered, at - 1))

    async def learn(self, db: Database, now: int) -> int:
        """Add the calls since the last lesson to each site's model, once a day; returns how many were learnt from."""
        return sum([await self._learn_site(db, site, now) for site in self.settings.sites])

    async def _learn_site(self, db: Database, site: str, now: int) -> int:
        since = await evidence.learnt_until(db, site) or now - DAY_MS
        if now - since < DAY_MS:
            return 0

        lesson = Lesson(self.model(site), FADE)
        arrived = await db.read(lambda tx: calls.of_site(tx, site, since, now))
        for at in range(0, len(arrived), AT_ONCE):
            await _gently(db, partial(self._study, lesson, arrived[at : at + AT_ONCE]))
        numbers = [use.number for use in self.uses.values() if use.site == site and use.pool]
        shown: list[Candidate] = []
        for number in numbers:
            shown += await _gently(db, partial(evidence.candidates, number=number, since=since, at=now))
        learnt = await asyncio.to_thread(lambda: lesson.learnt(seen_between(shown, since, now, len(numbers))))
        await db.write(lambda tx: evidence.save_model(tx, site, learnt.counts, now))
        self.models[site] = learnt
        return len(arrived)

    def _study(self, lesson: Lesson, part: Sequence[Call], tx: Transaction) -> None:
        lesson.add(self._known(tx, call) for call in part)


async def _gently(db: Database, unit: Callable[[Transaction], T]) -> T:
    """A part of long work, and then as much rest: whoever rings or opens a page needs the same interpreter."""
    began = time.perf_counter()
    found = await db.read(unit)
    await asyncio.sleep(time.perf_counter() - began)
    return found


def _asked_for(tx: Transaction, call: Call) -> Answer | None:
    """Of a call that we placed: the session that asked for it, or that of the caller who is called back."""
    callback = callbacks.of_channel(tx, call.linkedid)
    session = sessions.session_by_id(tx, callback.session) if callback else None
    if callback is None or session is None:
        return None
    reason = Reason("asked" if callback.kind == SITE else "called_back")
    return Answer("exact", session.id, 1.0, reason, {session.id: 1.0}, source=session.source)


def save_answer(tx: Transaction, call: str, answer: Answer) -> None:
    """Keep the shares of the best guess, of the runners-up and of nobody we know, of a call that has none yet."""
    shares = dict(answer.runners_up)
    if answer.session:
        shares[answer.session] = answer.confidence
    shares[NOBODY] = answer.probabilities.get(NOBODY, 0.0)
    evidence.save_credits(tx, call, shares)


async def calibration(db: Database, attributor: Attributor, since: int, until: int) -> Calibration:
    """Predicted against observed, over the calls whose truth is known: those that a tap explains beyond doubt are asked
    about again without anybody's signals, and the session that tapped is the truth."""

    def unit(tx: Transaction) -> Calibration:
        outcomes = []
        for call in calls.between(tx, since, until):
            sure = call.attribution.kind == "tapped" and call.attribution.confidence >= SURE
            if sure and (answer := attributor.answer_without_signals(tx, call)).session:
                outcomes.append((answer.confidence, answer.session == call.attribution.session))
        return calibrate(outcomes)

    return await db.write(unit)


@dataclass(frozen=True, slots=True)
class Change:
    """A call whose answer would be another today."""

    call: str
    at: int
    did: str
    before: tuple[str, str, float]  # (kind, source, confidence)
    after: tuple[str, str, float]


async def reattribute(
    db: Database, attributor: Attributor, since: int, until: int, apply: Facts | None = None
) -> list[Change]:
    """Ask again for every call in [since, until); what differs in kind, session or by 0.05 in confidence.

    Nothing is changed without `apply`, which tells others of each change.
    """

    def unit(tx: Transaction) -> list[Change]:
        changes = []
        for call in calls.between(tx, since, until):
            answer = attributor.answer(tx, call)
            old, new = call.attribution, answer.attribution()
            same = (old.kind, old.session) == (new.kind, new.session) and abs(old.confidence - new.confidence) < 0.05
            if same:
                continue
            before = (old.kind, old.source.source if old.source else "", old.confidence)
            after = (new.kind, new.source.source if new.source else "", new.confidence)
            changes.append(Change(call.id, call.arrived_at, call.did, before, after))
            if apply:
                calls.set_attribution(tx, call.id, new)
                evidence.forget_credits(tx, call.id)
                save_answer(tx, call.id, answer)
                apply.attributed_anew(tx, structs.replace(call, attribution=new), ids.now_ms())
        return changes

    return await db.write(unit)
