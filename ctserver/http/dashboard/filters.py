"""The journal's filters and columns as an address writes them, and in the reader's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlencode

from ctserver import language
from ctserver.domain import call as machine
from ctserver.domain import category, phone
from ctserver.domain.channel import NAMES as CHANNELS
from ctserver.domain.rights import Scope
from ctserver.domain.words import N_
from ctserver.http.dashboard import period
from ctserver.http.dashboard.period import Period
from ctserver.http.dashboard.rows import source_name
from ctserver.http.deps import Deps
from ctserver.language import gettext as _
from ctserver.storage.search import NONE, Filters

MOST = {"landing": 2000, "source": 410}  # characters of a filter: as long as what is filtered can be
USUALLY_MOST = 200
COLUMNS = {
    "when": N_("When"),
    "caller": N_("Caller"),
    "outcome": N_("Outcome"),
    "source": N_("Source"),
    "did": N_("Dialled"),
    "line": N_("Line"),
    "rang": N_("Rang"),
    "talked": N_("Talked"),
    "site": N_("Site"),
    "channel": N_("Channel"),
    "campaign": N_("Campaign"),
    "keyword": N_("Keyword"),
    "ad": N_("Ad"),
    "person": N_("Answered by"),
    "category": N_("Category"),
    "value": N_("Value"),
    "sure": N_("Confidence"),
    "new": N_("New caller"),
    "target": N_("Target call"),
    "rec": N_("Recording"),
}
USUAL = ("when", "caller", "outcome", "source", "did", "line", "rang", "talked", "rec")
LABELS = {
    "site": N_("Site"),
    "channel": N_("Channel"),
    "source": N_("Source"),
    "campaign": N_("Campaign"),
    "keyword": N_("Keyword"),
    "ad": N_("Ad"),
    "landing": N_("Landing page"),
    "region": N_("Region"),
    "device": N_("Device"),
    "number": N_("Dialled"),
    "line": N_("Line"),
    "person": N_("Answered by"),
    "outcome": N_("Outcome"),
    "reason": N_("Reason"),
    "category": N_("Category"),
    "tag": N_("Tag"),
    "caller": N_("Caller"),
    "target": N_("Target call"),
}
OUTCOMES = {machine.ANSWERED: N_("Answered"), machine.MISSED: N_("Missed"), machine.BLOCKED: N_("Blocked")}
CALLERS = {"new": N_("New callers"), "repeat": N_("Repeat callers")}
DEVICES = {"phone": N_("Phone"), "desktop": N_("Desktop"), "tablet": N_("Tablet")}
TARGETS = {"yes": N_("Target calls"), "no": N_("Not target calls")}
_WHOLE = {"talk_min", "talk_max"}
_SHARES = {"sure", "unsure"}  # per cent in addresses


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks of the journal."""

    filters: Filters
    period: Period
    columns: tuple[str, ...]
    texts: dict[str, str]  # every filter that is set, as the address writes it

    def query(self, **changes: str) -> str:
        """The address of the same with changes; "" takes a filter away. A period and days do not go together."""
        kept = {**self.texts, **changes}
        if self.columns != USUAL:
            kept.setdefault("cols", ",".join(self.columns))
        return urlencode({name: value for name, value in kept.items() if value})


def read(query: Mapping[str, str], all_columns: list[str], deps: Deps) -> Asked:
    """Anything may stand in an address; what makes no sense is no filter. `all_columns`: the boxes that are ticked."""
    texts = {name: _clean(query[name]) for name in ("period", "from", "to") if query.get(name)}
    span = period.asked(texts.get("period", ""), texts.get("from", ""), texts.get("to", ""), deps.now())
    if span.name:
        texts = {"period": span.name}
    else:
        days = {"from": span.first, "to": span.last}
        texts = {name: day.isoformat() for name, day in days.items() if day}
    given: dict[str, Any] = {}
    for field in fields(Filters):
        name = field.name
        text = _clean(query.get(name, ""), MOST.get(name, USUALLY_MOST))
        value = _value(name, text)
        if name not in ("since", "until") and value not in ("", None):
            given[name], texts[name] = value, text
    _own_number(given, texts, deps)
    filters = Filters(since=span.since, until=span.until, **given)
    wanted = all_columns or query.get("cols", "").split(",")
    columns = tuple(name for name in COLUMNS if name in wanted) or USUAL
    return Asked(filters, span, columns, texts)


def _clean(text: str, most: int = USUALLY_MOST) -> str:
    """Whatever may stand in a campaign, no-break spaces and line ends among it: a report's row leads here."""
    return text.strip()[:most].replace("\x00", "").encode("utf-8", "ignore").decode()


def _value(name: str, text: str) -> str | int | float | None:
    if name in _WHOLE | _SHARES:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
        return number if name in _WHOLE or number is None else min(number, 100) / 100
    known = {"outcome": OUTCOMES, "caller": CALLERS, "target": TARGETS}.get(name)
    return "" if known is not None and text not in known else text


def _own_number(given: dict[str, Any], texts: dict[str, str], deps: Deps) -> None:
    """Who types a number whole looks for its calls: those to it, if it is one of ours, else those from it."""
    text = given.get("q", "")
    if any(character.isalpha() for character in text) or sum(character.isdigit() for character in text) < 8:
        return
    try:
        number = phone.e164(text, deps.settings.server.country)
    except phone.NotANumber:
        return
    if number in deps.uses and "number" not in given:
        given["number"], given["q"] = number, ""
        texts["number"] = number
        texts.pop("q")
    else:
        given["q"] = number


def chips(asked: Asked, deps: Deps) -> list[dict[str, str]]:
    """Each filter that is set: its words, and the address without it."""
    found = []
    if asked.period.name:
        found.append({"text": _(period.PERIODS[asked.period.name]), "query": asked.query(period="")})
    elif asked.period.first or asked.period.last:
        first, last = (
            language.day(at, "medium") if at is not None else "…"
            for at in (asked.period.since, asked.period.until and asked.period.until - 1)
        )
        text = first if first == last else f"{first} – {last}"
        found.append({"text": text, "query": asked.query(**{"from": "", "to": ""})})
    return found + chips_of(asked.texts, asked.query, deps)


def chips_of(texts: Mapping[str, str], query: Callable[..., str], deps: Deps) -> list[dict[str, str]]:
    """As `chips`, without those of time; `query` makes the address of a change."""
    return [
        {"text": _chip(name, text, deps), "query": query(**{name: ""})}
        for name, text in texts.items()
        if name not in ("period", "from", "to")
    ]


def _chip(name: str, text: str, deps: Deps) -> str:
    if name == "q":
        return _("“%(text)s”") % {"text": text}
    if name in ("talk_min", "talk_max"):
        words = _("Talk from %(time)s") if name == "talk_min" else _("Talk up to %(time)s")
        return words % {"time": language.duration(int(text))}
    if name in _SHARES:
        words = _("Confidence from %(share)s") if name == "sure" else _("Confidence up to %(share)s")
        return words % {"share": language.percent(int(text) / 100)}
    for names in (OUTCOMES, CALLERS, TARGETS):
        if name in ("outcome", "caller", "target") and text in names:
            return _(names[text])
    return f"{_(LABELS[name])}: {in_words(name, text, deps)}"


def filter_of(name: str, value: str) -> str:
    """The filter that finds a dimension's value and nothing else."""
    if name == "source" and value and " / " not in value:
        return f"{value} / {NONE}"
    return value or NONE


def in_words(name: str, value: str, deps: Deps) -> str:
    """A value of a filter or of a report's dimension as a person reads it."""
    if value in ("", NONE):
        return _("not known")
    settings = deps.settings
    if name == "site":
        return (settings.sites[value].name if value in settings.sites else "") or value
    if name == "line":
        return (settings.lines[value].name if value in settings.lines else "") or value
    if name == "channel":
        return _(CHANNELS.get(value, value))
    if name == "category":
        return _(category.name_of(value))
    if name == "number":
        return language.phone(value)
    if name == "source":
        return source_name(value.removesuffix(f" / {NONE}"))
    if name == "device":
        return _(DEVICES.get(value, value))
    return value


def options(deps: Deps, scope: Scope) -> dict[str, dict[str, str]]:
    """What may be chosen where there are few values."""
    his = {use.line for use in deps.uses.values() if scope.sees(use.site, use.line)}
    lines = {id: line.name or id for id, line in deps.settings.lines.items() if id in his or not scope.limited}
    return {
        "channel": {code: _(name) for code, name in CHANNELS.items()},
        "line": lines,
        "outcome": {code: _(name) for code, name in OUTCOMES.items()},
        "caller": {code: _(name) for code, name in CALLERS.items()},
        "target": {code: _(name) for code, name in TARGETS.items()},
        "device": {code: _(name) for code, name in DEVICES.items()},
        "category": {code: _(name) for code, name in _categories(deps, scope).items()},
    }


def _categories(deps: Deps, scope: Scope) -> dict[str, str]:
    found = dict(category.CATEGORIES)
    for id, site in deps.settings.sites.items():
        found |= {name: name for name in site.categories if scope.sees_site(id)}
    return found
