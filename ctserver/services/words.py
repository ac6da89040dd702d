"""The words of an alert: those of its rule, in Jinja2's sandbox, or ours (web/templates/messages), in the reader's language.

Every message has plain words, an SMS, and HTML for mail programs. Who reads is set around it (ctserver.language).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ctserver import files, language
from ctserver.config import Settings
from ctserver.config.alerts import Alert as Rule
from ctserver.domain import sms
from ctserver.domain.alert import MISSED, Alert
from ctserver.domain.words import N_
from ctserver.language import gettext as _
from ctserver.services.digest import Digest

LONGEST = 4_000  # characters of a text
PARTS = ("subject", "text", "short")
DIGESTS = ("daily", "weekly")

SUBJECTS = {
    "ringing": N_("Ringing: %(who)s"),
    "answered": N_("Answered: %(who)s"),
    "ended": N_("Call ended: %(who)s"),
    "missed": N_("Missed call: %(who)s"),
    "missed_out_of_hours": N_("Missed out of hours: %(who)s"),
    "voicemail": N_("Voice message from %(who)s"),
    "first_call": N_("First call from %(who)s"),
    "long_wait": N_("Waited %(waited)s: %(who)s"),
    "broken": N_("Call cut off: %(who)s"),
    "recording": N_("Recording of %(who)s"),
    "pool_short": N_("Pool %(subject)s is short of numbers"),
    "pbx_unreachable": N_("Asterisk %(subject)s cannot be reached"),
    "recording_failing": N_("Recording is failing"),
    "disk": N_("The disk is nearly full"),
    "delivery_failing": N_("Deliveries are failing: %(subject)s"),
    "daily": N_("The day in calls"),
    "weekly": N_("The week in calls"),
}
TROUBLE = {  # what it means, and what to do
    "pool_short": N_(
        "No number was free for %(short)s of %(showings)s visitors in the last hour, so their calls are hard to tell apart. The Pools page shows how many numbers you need."
    ),
    "pbx_unreachable": N_("Problem: %(problem)s. Calls still go through; the System page shows when the link is back."),
    "recording_failing": N_(
        "%(missing)s answered calls of the last few hours have no recording. Check that Asterisk can write to its spool folder."
    ),
    "disk": N_("Problem: %(problem)s. Calls still go through, but recordings will fail when it is full."),
    "delivery_failing": N_("Problem: %(problem)s. The Deliveries page shows what is waiting and can send it again."),
}
UNRECORDED = N_("Problem: %(problem)s. Calls still go through, but are not recorded.")
CALLER = N_("Sorry we missed your call. We will call you back.")


@dataclass(frozen=True, slots=True)
class Words:
    """`short` is for an SMS; `html` is "" where plain words are all there is."""

    subject: str
    text: str
    short: str
    html: str


def words(rule: Rule, alert: Alert, digest: Digest | None = None, *, name: str = "", home: str = "") -> Words:
    """The message of the rule `name`, from the ctserver at `home`, for him who reads. Raises TemplateError."""
    values = _values(alert, digest)
    usual = values | {"digest": digest, "rule": name, "home": home, "urgent": alert.occasion in MISSED}
    if digest is not None:
        usual["detail"] = values["detail"] = drawn("digest.txt", usual)
    subject = _render(rule.subject, values) if rule.subject else str(values["title"])
    text = _render(rule.text, values) if rule.text else _text(usual)
    if rule.short or rule.text:
        short = _render(rule.short or rule.text, values)
    else:
        short = _fitting(_shorts(usual), rule.sms_parts)
    html = "" if alert.to_caller else _html(usual | {"subject_line": subject, "own": text if rule.text else ""})
    return Words(subject, text, sms.fit(short, rule.sms_parts) if rule.sms_parts else short, html)


def _values(alert: Alert, digest: Digest | None) -> dict[str, Any]:
    """What a template of the settings knows."""
    who = language.phone(alert.caller) if alert.caller else _("number withheld")
    waited = language.span(alert.waited_seconds or 0)
    title = _(SUBJECTS[alert.occasion]) % {"who": who, "subject": alert.subject, "waited": waited}
    if digest is not None:
        title = f"{title}: {_days(digest)}"
    elif alert.late_ms:
        title = f"{title}, {language.ago(alert.at, alert.at + alert.late_ms)}"
    stopped = alert.occasion == "recording_failing" and "problem" in alert.data
    trouble = UNRECORDED if stopped else TROUBLE.get(alert.occasion)
    detail = _(trouble) % _Known(alert.data) if trouble and alert.data else alert.detail
    return asdict(alert) | {"who": who, "title": title, "detail": detail}


class _Known(dict[str, Any]):
    """What a fact does not say is shown as nothing."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)

    def __missing__(self, key: str) -> str:
        return "?"


def _days(digest: Digest) -> str:
    return language.days(digest.first, digest.last) if digest.weekly else language.long_day(digest.first)


def _text(usual: dict[str, Any]) -> str:
    if usual["to_caller"]:
        return _apology(usual)
    return drawn("alert.txt", usual)


def _html(usual: dict[str, Any]) -> str:
    if usual["own"]:
        return drawn("own.html", usual)
    return drawn("digest.html" if usual["digest"] else "alert.html", usual)


def _apology(usual: dict[str, Any]) -> str:
    return f"{_(CALLER)} {usual['site']}".strip()


def _shorts(usual: dict[str, Any]) -> Iterator[str]:
    """The same as an SMS, each shorter than the one before."""
    title, link, source = usual["title"], usual["link"], usual["source"]
    if usual["to_caller"]:
        yield from (_apology(usual), _(CALLER))
    elif usual["call"]:
        times = f" x{usual['count']}" if usual["count"] > 1 else ""
        head = f"{title}{times} {language.hour_minute(usual['at'])}"
        yield from (f"{head} {source} {link}".replace("  ", " "), f"{head} {link}", f"{head} {source}".strip(), head)
    elif digest := usual["digest"]:
        counted = _("%(calls)s calls, %(missed)s missed") % {"calls": digest.total.calls, "missed": digest.total.missed}
        yield from (f"{title}: {counted} {usual['link']}", f"{title}: {counted}", counted)
    else:
        yield from (f"{title}. {usual['detail']}" if usual["detail"] else title, title)


def _fitting(shorts: Iterable[str], parts: int) -> str:
    """The first that fits into so many SMS (0: the first), else the last."""
    found = ""
    for found in shorts:
        found = sms.plainer(found)
        if not parts or sms.count(found) <= parts:
            return found
    return found


# ---- templates of the settings


def mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    """(alerts.NAME.text, what is wrong) of every template: each is tried with every occasion of its rule, with and
    without what may be missing."""
    for name, rule in settings.alerts.items():
        for part in PARTS:
            if text := getattr(rule, part):
                problem = next(filter(None, (_mistake(text, sample) for sample in _samples(rule))), None)
                if problem:
                    yield f"alerts.{name}.{part}", problem


def _mistake(text: str, sample: Alert) -> str | None:
    try:
        _render(text, _values(sample, None))
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _samples(rule: Rule) -> Iterator[Alert]:
    for occasion in rule.on or ["missed"]:
        yield Alert(occasion, 0)
        yield Alert(occasion, 0, call="c", caller="+442079460000", waited_seconds=1.5, talked_seconds=2.5)


def _render(text: str, values: dict[str, Any]) -> str:
    return _sandbox().from_string(text).render(values).strip()[:LONGEST]


@lru_cache(maxsize=1)
def _sandbox() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, cache_size=100)
    made.filters |= _FILTERS
    return made


# ---- our own


def drawn(template: str, values: dict[str, Any]) -> str:
    """One of web/templates/messages, in the reader's language."""
    return _environment().get_template(f"messages/{template}").render(values).strip()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(files.folder("web") / "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.install_gettext_callables(language.gettext, language.ngettext, newstyle=True, pgettext=language.pgettext)  # type: ignore[attr-defined]
    made.globals |= {"lang": lambda: language.reader().language, "days": _days}
    made.filters |= _FILTERS | {
        "number": language.number,
        "percent": language.percent,
        "weekday": language.short_weekday,
    }
    return made


def _time(ms: int) -> str:
    return f"{language.day(ms)}, {language.hour_minute(ms)}"


_FILTERS = {
    "phone": language.phone,
    "time": _time,
    "clock": language.hour_minute,
    "duration": language.duration,
    "fine_span": language.fine_span,
    "span": language.span,
    "ordinal": language.ordinal,
}
