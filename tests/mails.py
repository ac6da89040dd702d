"""Messages with plausible contents: for tests of their words, and to be looked at:

.venv/bin/python -m tests.mails FOLDER      writes each as NAME-LANGUAGE.html
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ctserver.config.alerts import Alert as Rule
from ctserver.domain.alert import OCCASIONS, Alert
from ctserver.language import Reader, written_for
from ctserver.services.digest import Count, Digest, Source, Waiting
from ctserver.services.words import Words, words

HOME = "https://calls.example.com"
LINK = f"{HOME}/calls/000001k0q5v3j8abcdefabcdef"
DAY = date(2026, 11, 21)
AT = int(datetime(2026, 11, 21, 14, 32, tzinfo=UTC).timestamp() * 1000)
EVIL = "Eve <b>Adams</b>"
HOURS = (0, 0, 0, 0, 0, 0, 0, 1, 3, 6, 9, 7, 5, 6, 8, 7, 6, 4, 2, 1, 0, 0, 0, 0)
TROUBLE = {"short": 12, "showings": 40, "problem": "no connection", "missing": 3, "via": "notify.sms"}
SOURCES = [
    Source("google / cpc", 24, 18),
    Source("yandex / cpc", 14, 19),
    Source("(direct)", 11, 11),
    Source("", 6, 4),
    Source("newsletter-of-november-2026-with-a-long-name / email", 4, 0),
    Source("facebook / paid_social", 0, 7),
]
CALL = Alert(
    "missed", AT, link=LINK, call="c1", caller="+447700900321", caller_name=EVIL, site="Lighthouse", line="Front desk",
    source="google / cpc", campaign="spring-tune-up", waited_seconds=23.4, talked_seconds=187, count=3, first_call=True, escalated=True,
    recording=f"{HOME}/shared/abc", outcome="missed", data={"caller": "+447700900321"},
)  # fmt: skip


def alert(occasion: str) -> Alert:
    """As one of a call, of trouble, or of a digest."""
    if OCCASIONS[occasion].startswith(("call.", "recording.")):
        return Alert(**{name: getattr(CALL, name) for name in CALL.__dataclass_fields__} | {"occasion": occasion})
    return Alert(occasion, AT, subject="office", link=HOME, data=TROUBLE)


def digest(*, weekly: bool = False, quiet: bool = False) -> Digest:
    """A busy day or week, or a day without a call."""
    midnight = int(datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC).timestamp() * 1000)
    if quiet:
        none = Count(0, 0, 0, 0, 0)
        return Digest(DAY, DAY, none, Count(3, 3, 0, 1, 9000), none, [(midnight, 0, 0)] * 24, [], [], 0)
    hours = [(midnight + hour * 3_600_000, calls, calls // 4) for hour, calls in enumerate(HOURS)]
    days = [
        (midnight - (6 - day) * 86_400_000, calls, calls // 6) for day, calls in enumerate((61, 58, 70, 66, 54, 21, 12))
    ]
    people = [("+447700900321", 3), ("+74951234567", 1), ("+442079460101", 2)]
    return Digest(
        first=DAY - timedelta(days=6) if weekly else DAY,
        last=DAY,
        total=Count(65, 51, 14, 22, 51 * 154_000),
        day_before=None if weekly else Count(58, 50, 8, 25, 50 * 171_000),
        week_before=Count(71, 57, 14, 20, 57 * 140_000),
        bars=days if weekly else hours,
        sources=SOURCES,
        waiting=[Waiting("c1", who, AT, times) for who, times in people],
        waiting_count=12,
    )


SAMPLES: dict[str, tuple[Rule, Alert, Digest | None]] = {
    "missed": (Rule(by="mail"), CALL, None),
    "trouble": (Rule(by="mail"), alert("pbx_unreachable"), None),
    "own": (Rule(by="mail", text="{{ caller|phone }} rang\n{{ caller_name }}\n{{ link }}"), CALL, None),
    "daily": (Rule(by="mail"), alert("daily"), digest()),
    "weekly": (Rule(by="mail"), alert("weekly"), digest(weekly=True)),
    "quiet": (Rule(by="mail"), alert("daily"), digest(quiet=True)),
}


def said(rule: Rule, alert: Alert, digest: Digest | None = None, language: str = "en") -> Words:
    """The message for a reader in UTC."""
    with written_for(Reader(language, "UTC")):
        return words(rule, alert, digest, name="alerts.boss", home=HOME)


if __name__ == "__main__":
    for name, sample in SAMPLES.items():
        for language in ("en", "ru"):
            Path(sys.argv[1], f"{name}-{language}.html").write_text(said(*sample, language).html, encoding="utf-8")
