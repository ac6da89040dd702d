"""The words of an alert: those of its rule, in Jinja2's sandbox, or plain English ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ctserver.config import Settings
from ctserver.config.alerts import Alert as Rule
from ctserver.domain import phone
from ctserver.domain.alert import Alert

LONGEST = 4_000  # characters of a text
PARTS = ("subject", "text", "short")

SUBJECTS = {
    "ringing": "Ringing: {{ who }}",
    "answered": "Answered: {{ who }}",
    "ended": "Call ended: {{ who }}",
    "missed": "Missed call: {{ who }}",
    "missed_out_of_hours": "Missed out of hours: {{ who }}",
    "voicemail": "Voice message from {{ who }}",
    "first_call": "First call of {{ who }}",
    "long_wait": "Waited {{ waited_seconds|round|int }} s: {{ who }}",
    "broken": "A call broke: {{ who }}",
    "recording": "Recording of {{ who }}",
    "pool_short": "Pool {{ subject }} is short of numbers",
    "pbx_unreachable": "Asterisk {{ subject }} cannot be reached",
    "recording_failing": "Recording fails",
    "disk": "The disk is nearly full",
    "delivery_failing": "Deliveries fail: {{ subject }}",
    "daily": "The day in calls",
    "weekly": "The week in calls",
}
CALL_TEXT = """\
{{ title }}{% if count > 1 %} ({{ count }} calls){% endif %}
{{ at|time }}{% if line %}, {{ line }}{% endif %}{% if site %}, {{ site }}{% endif %}
{%- if source %}
Source: {{ source }}{% if campaign %}, {{ campaign }}{% endif %}{% endif %}
{%- if nth > 1 %}
{{ nth|ordinal }} call{% endif %}
{%- if waited_seconds is not none %}
Waited {{ waited_seconds|round|int }} s{% endif %}
{%- if escalated %}
Nobody has seen to it yet.{% endif %}
{{ link }}"""
CALL_SHORT = "{{ title }}{% if count > 1 %} x{{ count }}{% endif %} {{ at|clock }}{% if source %} {{ source }}{% endif %} {{ link }}"
CALLER_TEXT = "We are sorry that we missed your call. We will ring you back{% if site %}. {{ site }}{% endif %}"
TEXT = "{{ title }}\n{{ detail }}\n{{ link }}"


@dataclass(frozen=True, slots=True)
class Words:
    subject: str
    text: str
    short: str


def words(rule: Rule, alert: Alert) -> Words:
    """Raises TemplateError."""
    values = asdict(alert) | {"who": phone.international(alert.caller) if alert.caller else "number withheld"}
    subject = _render(SUBJECTS[alert.occasion], values)
    values["title"] = subject
    if alert.to_caller:
        text = short = CALLER_TEXT
    else:
        text, short = (CALL_TEXT, CALL_SHORT) if alert.call else (TEXT, "{{ title }}: {{ detail }}")
    return Words(
        _render(rule.subject, values) if rule.subject else subject,
        _render(rule.text or text, values),
        _render(rule.short or rule.text or short, values),
    )


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
        _render(text, asdict(sample) | {"who": "", "title": ""})
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _samples(rule: Rule) -> Iterator[Alert]:
    for occasion in rule.on or ["missed"]:
        yield Alert(occasion, 0)
        yield Alert(occasion, 0, call="c", caller="+442079460000", waited_seconds=1.5, talked_seconds=2.5)


def _render(text: str, values: dict[str, object]) -> str:
    return _environment().from_string(text).render(values).strip()[:LONGEST]


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, cache_size=100)
    made.filters |= {"phone": phone.international, "time": _time, "clock": _clock, "ordinal": _ordinal}
    return made


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone():%-d %b %Y, %H:%M}"


def _clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone():%H:%M}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
