"""What happens at the shop on one day, by dice with a given seed: who comes, from where, what he looks at, whether he
rings, and who answers.

The shapes are those that call tracking systems show of small shops: most visits by search and advertising, two or three
pages each, a few campaigns and words that bring most, calls in office hours, one of five missed, more of them at lunch
and in the evening, a third by people who rang before. Numbers of callers are from Ofcom's range for drama as long as that lasts.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ctserver import ids
from ctserver.config import Settings, number_uses
from ctserver.domain import channel
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.model import Source
from ctserver.domain.phone import TEST_CALLER
from ctserver.services.demo import words

MARK = "demo-data"
MEMORY = 4_000  # callers who may ring again


@dataclass(frozen=True, slots=True)
class Shop:
    """Of the settings: which numbers are shown, to which line each leads (`way`), and which phones ring there (`phones`); where
    they say nothing, any of `lines` and `people`. `sessions` and `calls` are those of an average day; `variety` multiplies
    campaigns, words and pages."""

    site: str
    domain: str
    pool: str
    numbers: Sequence[str]
    statics: Sequence[tuple[str, str, str, str]]  # (number, medium, source, campaign)
    lines: Sequence[str]
    people: Sequence[str] = words.PEOPLE
    way: Mapping[str, str] = field(default_factory=dict)
    phones: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sessions: float = 260
    calls: float = 48
    variety: int = 1


@dataclass(slots=True)
class Day:
    """Rows as storage.demo writes them."""

    sessions: list[tuple[Any, ...]] = field(default_factory=list)
    visits: list[tuple[Any, ...]] = field(default_factory=list)
    leases: list[tuple[Any, ...]] = field(default_factory=list)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    legs: list[tuple[Any, ...]] = field(default_factory=list)
    credits: list[tuple[Any, ...]] = field(default_factory=list)


def shop_of(settings: Settings, calls: float = 48) -> Shop:
    """The first site of the settings, with so many calls on an average day."""
    site_id, site = next(iter(settings.sites.items()))
    pool = site.pool or next(iter(settings.pools), "")
    statics = [(s.number, s.medium, s.source, s.campaign) for s in settings.static.values() if s.site == site_id]
    numbers = settings.pools[pool].numbers if pool else [site.number]
    lines = list(settings.lines)
    way = {number: use.line for number, use in number_uses(settings).items()}
    dialled = {id: "&".join(line.dial).split("&") for id, line in settings.lines.items() if line.dial}
    phones = {
        id: ["/".join(one.split("/")[:2]) for one in dials] for id, dials in dialled.items()
    }  # as channels are named
    made = Shop(site_id, site.domains[0], pool, numbers, statics, lines, way=way, phones=phones)
    return replace(made, sessions=5.4 * calls, calls=calls)


class Town:
    """Those who live around the shop; remembers who rang."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self._shop = shop
        self._dice = random.Random(seed)  # noqa: S311 - nothing secret
        self._callers: list[tuple[str, str]] = []

    def day(self, start: int, now: int, weight: float) -> Day:
        """The day that begins at `start` as far as it is over `now`; `weight` is how busy it is, 1 on average."""
        day = Day()
        dice, shop = self._dice, self._shop
        ring = shop.calls * 0.82 / shop.sessions
        for _ in range(round(shop.sessions * weight * dice.uniform(0.9, 1.1))):
            at = start + _moment(dice, words.VISIT_HOURS)
            if at < now:
                self._session(day, at, now, ring)
        for _ in range(round(shop.calls * 0.18 * weight * dice.uniform(0.9, 1.1))):
            at = start + _moment(dice, words.CALL_HOURS)
            if at < now - 1_200_000:
                self._static_call(day, at)
        return day

    def _session(self, day: Day, at: int, now: int, ring: float) -> None:
        dice, shop = self._dice, self._shop
        way = dice.choices(words.WAYS, words.WAY_WEIGHTS)[0]
        campaign = _pick(dice, way.campaigns, shop.variety)
        term = _pick(dice, way.terms, 4 * shop.variety if shop.variety > 1 else 1) if dice.random() < 0.8 else ""
        content = f"ad-{1 + _low(dice, 12 * shop.variety)}" if campaign else ""
        page, title = words.PAGES[_low(dice, len(words.PAGES))]
        if shop.variety > 1 and dice.random() < 0.5:
            page = f"{page.rstrip('/')}/{_low(dice, 6 * shop.variety)}"
        query = f"?utm_source={way.source}&utm_medium={way.medium}&utm_campaign={campaign}" if campaign else ""
        clicks = f'{{"{way.click}": "{dice.getrandbits(60):x}"}}' if way.click else "{}"
        country, region, city = dice.choices(words.PLACES, words.PLACE_WEIGHTS)[0]
        device, browser, system = dice.choices(words.DEVICES, words.DEVICE_WEIGHTS)[0]
        source = (way.medium, way.source, campaign, term, content, clicks)
        id, visitor = _id(dice, at), f"demo-{dice.getrandbits(72):018x}"
        seen, last = at, at
        for step in range(1 + min(12, int(dice.expovariate(0.6)))):
            url, name = (page + query, title) if step == 0 else words.PAGES[_low(dice, len(words.PAGES))]
            day.visits.append(
                (_id(dice, seen), id, seen, f"https://{shop.domain}{url}", name, "" if step else way.referrer)
            )
            last, seen = seen, seen + 4_000 + int(dice.expovariate(1 / 45_000))
            if seen > now:
                break
        head = (id, shop.site, visitor, at, last, f"https://{shop.domain}{page}{query}", way.referrer)
        facts = (country, region, city, device, browser, system, "192.0.2.0", "{}", "{}")
        day.sessions.append((*head, *source, _channel(way.source, way.medium, campaign), *facts))
        number = shop.numbers[_low(dice, len(shop.numbers), 1)]
        day.leases.append((_id(dice, at), number, shop.pool, id, at, last, last + 1_800_000))
        office = words.CALL_HOURS[at % DAY_MS // HOUR_MS] / 6
        arrived = at + 20_000 + int(dice.expovariate(1 / 200_000))
        if dice.random() < ring * min(office, 1.6) * way.calls and arrived < now - 1_200_000:
            kind, low = dice.choices(words.KINDS, (58, 17, 14, 8, 3))[0]
            confidence = round(dice.uniform(low, 0.995), 3)
            self._call(day, arrived, number, source, (kind, confidence, words.why(kind, (arrived - at) // 1000), id))

    def _static_call(self, day: Day, at: int) -> None:
        dice, shop = self._dice, self._shop
        if shop.statics and dice.random() < 0.7:
            number, medium, source, campaign = dice.choice(shop.statics)
            self._call(
                day, at, number, (medium, source, campaign, "", "", "{}"), ("static", 1.0, words.why("static"), "")
            )
        else:
            number = dice.choice(shop.numbers)
            self._call(day, at, number, ("", "", "", "", "", "{}"), ("none", 0.0, words.why("none"), ""))

    def _call(self, day: Day, at: int, did: str, source: tuple[str, ...], answer: tuple[str, float, str, str]) -> None:
        dice, shop = self._dice, self._shop
        caller, name = self._caller()
        line = shop.way.get(did) or shop.lines[_low(dice, len(shop.lines), 2)]
        people = shop.phones.get(line) or shop.people
        hour = at % DAY_MS // HOUR_MS
        reason = _reason(dice, hour)
        least, more, most = words.WAITS[reason]
        wait = int(1000 * min(most, least + more * dice.expovariate(1)))
        ringing = None if reason in words.SILENT else at + 300
        answered = at + 300 + wait if reason in ("completed", "broken") else None
        talk = int(1000 * min(2400, 6 + dice.lognormvariate(4.4, 1.0))) if answered else 0
        ended = at + 300 + wait + talk
        person = people[_low(dice, len(people), 1)] if answered else people[0]
        category, value = _category(dice, talk) if answered else ("", None)
        id = _id(dice, at)
        outcome, status = "answered" if answered else "missed", words.STATUSES.get(reason, "ANSWER")
        cause, gave_up = words.CAUSES.get(reason, 16), int(reason.startswith("abandoned"))
        way = _channel(source[1], source[0], source[2]) if source[1] else ""
        head = (id, MARK, id, id, f"{MARK}/{did}", shop.site, did, caller, name, line, "ctserver", "ended", at, ringing)
        phone = f"{person}-{len(day.calls) + 1:08x}"  # as Asterisk names channels: each once
        end = (answered, ended, outcome, reason, cause, status, gave_up, phone if answered else "")
        day.calls.append((*head, *end, *answer, *source, way, category, value))
        if reason != "abandoned_early":
            day.legs.append((id, f"{id}-1", phone, at + 200, ringing, answered, ended, status))
        if answer[3]:
            day.credits.append((id, answer[3], answer[1]))

    def _caller(self) -> tuple[str, str]:
        dice = self._dice
        if dice.random() < 0.04:
            return "", ""  # withheld
        if self._callers and dice.random() < 0.34:
            return self._callers[_low(dice, len(self._callers), 2)]
        start, width = ("+447", 9) if self._shop.calls > 500 else ("+447700900", 3)
        digits = dice.randrange(10**width)
        if f"{start}{digits:0{width}}" == TEST_CALLER:
            digits += 1  # his calls have no earlier one that would be credited in place of the visit tried
        made = f"{start}{digits:0{width}}", words.name_of(digits)
        if len(self._callers) < MEMORY:
            self._callers.insert(0, made)
        else:
            self._callers[dice.randrange(MEMORY)] = made
        return made


def _moment(dice: random.Random, hours: Sequence[float]) -> int:
    return int(dice.choices(range(24), hours)[0] * HOUR_MS + dice.random() * HOUR_MS)


def _low(dice: random.Random, count: int, power: float = 1.6) -> int:
    """0 to count - 1, the low ones oftener, as campaigns and words are."""
    return int(count * dice.random() ** (1 + power))


def _pick(dice: random.Random, names: Sequence[str], variety: int) -> str:
    if not names:
        return ""
    place = _low(dice, len(names) * variety)
    name = names[place % len(names)]
    return name if place < len(names) else f"{name} {place // len(names) + 1}"


def _reason(dice: random.Random, hour: int) -> str:
    late = hour < 8 or hour > 19
    if dice.random() < (0.75 if late else 0.24 if hour in (12, 13) else 0.13):
        return dice.choices(words.MISSES, words.MISS_WEIGHTS)[0]
    return "broken" if dice.random() < 0.015 else "completed"


def _category(dice: random.Random, talk: int) -> tuple[str, int | None]:
    if talk < 25_000 or dice.random() > 0.7:
        return "", None
    category = dice.choices(words.CATEGORIES, words.CATEGORY_WEIGHTS)[0]
    return category, round(dice.lognormvariate(5.0, 0.8)) * 100 if category in words.SOLD else None


def _id(dice: random.Random, at: int) -> str:
    return f"{ids.first(at)}{dice.getrandbits(64):016x}"


@lru_cache(4096)
def _channel(source: str, medium: str, campaign: str) -> str:
    return channel.channel(Source(medium, source, campaign))
