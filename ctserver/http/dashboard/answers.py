"""What became of a message, kept in English, for its reader: our own sentences in his language, times as he writes them, and of a
page of HTML only its text. What another server said stays as it said it.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from ctserver import language
from ctserver.domain.words import N_
from ctserver.language import gettext as _

_TAG = re.compile(r"</?[a-zA-Z!][^<>@]*>")  # with an @ it is an address
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
_WHOLE = ("rest", "title", "time")  # may hold more than a word; the rest may be a sentence of ours again

SENTENCES = (  # as services/delivery.py, services/alerts.py and their like write them; the first that fits
    N_("%(title)s did not take a message: %(rest)s"),
    N_("%(title)s refuses our key or password: %(rest)s"),
    N_("it was answered after all"),
    N_("%(login)s sees to it"),
    N_("somebody spoke with the caller at %(time)s"),
    N_("he was told at %(time)s; once in %(hours)s h is enough"),
    N_("this caller was told of just now; his further calls come together"),
    N_("waits for the recording"),
    N_("quiet hours"),
    N_("too late to be of use"),
    N_("the settings no longer have it"),
    N_("the settings no longer have this rule"),
    N_("the settings no longer have a mail channel"),
    N_("the rule has changed: this is none of its occasions any more"),
    N_("the link was used or withdrawn, or its time is over"),
    N_("nobody to send to: neither the rule nor `to` of the channel names anyone"),
    N_("taken"),
    N_("taken for %(taken)s of %(told)s browsers"),
    N_("message %(number)s"),
    N_("answered %(rest)s"),
    N_("error %(rest)s"),
    N_("no answer within %(seconds)s s"),
    N_("%(host)s: no answer within %(seconds)s s"),
    N_("%(host)s: no answer in time"),
    N_("no connection: %(rest)s"),
    N_("%(host)s: no connection: %(rest)s"),
    N_("TLS failed: %(rest)s"),
    N_("%(host)s: TLS failed: %(rest)s"),
    N_("its certificate is not good: %(rest)s"),
    N_("the name %(host)s is not known: %(rest)s"),
    N_("the address cannot be used"),
    N_("there is no link to the PBX %(pbx)s"),
    N_("a mistake of ours: %(rest)s"),
    N_("%(free)s MB free, less than the %(least)s MB of [recordings] min_free_mb"),
    N_("calls are not recorded any more: %(free)s MB free, less than the %(least)s MB of [recordings] stop_free_mb"),
    N_("%(count)s answered calls of the last hours have no recording"),
)


def shown(answer: str, now: int) -> str:
    """For the reader, who looks at epoch milliseconds `now`."""
    if "</" in answer:
        answer = " ".join(_TAG.sub(" ", answer).split())
    return _told(_TIME.sub(lambda found: _when(found[0], now), answer))


def _told(text: str) -> str:
    for sentence, pattern in _patterns():
        if found := pattern.fullmatch(text):
            values = found.groupdict()
            if "rest" in values:
                values["rest"] = _told(values["rest"])
            return _(sentence) % values
    return text


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(sentence, re.compile(re.sub(r"%\\\((\w+)\\\)s", _group, re.escape(sentence)))) for sentence in SENTENCES]


def _group(found: re.Match[str]) -> str:
    what = ".+" if found[1] in _WHOLE else r"\S+"
    return f"(?P<{found[1]}>{what})"


def _when(iso: str, now: int) -> str:
    """14:32 of today; of another day with its date."""
    ms = round(datetime.fromisoformat(iso).timestamp() * 1000)
    day, time = language.day(ms), language.hour_minute(ms)
    return time if day == language.day(now) else f"{day}, {time}"
