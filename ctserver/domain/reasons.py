"""Why a call was credited as it was: a code with values, and plain English made of it.

The journal keeps the English text; `read` finds the code and the values in it again, for other languages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ctserver.domain.words import N_


@dataclass(frozen=True, slots=True)
class Reason:
    """`code` is a key of WORDS; `values` hold `seconds` (a span) or `percent` (0-100) where the words need them."""

    code: str
    values: Mapping[str, int] = field(default_factory=dict)


WORDS: Mapping[str, str] = {
    "static": N_("this number belongs to one source"),
    "tapped": N_("tapped this number {span} before the call"),
    "copied": N_("copied this number {span} before the call"),
    "revealed": N_("asked to see this number {span} before the call"),
    "hidden": N_("left the browser for something else {span} before the call, as people do to dial"),
    "only": N_("nobody else had this number lately; shown {span} before the call"),
    "on_page": N_("was on the page at the time of the call, having been shown this number {span} before"),
    "left": N_("had been shown this number {span} before the call, and had left the page"),
    "repeat": N_("the same caller rang {span} before; no new visit since"),
    "returned": N_("the same caller rang {span} before and has visited again since"),
    "ambiguous": N_("several visitors had this number; the best guess is right in {percent} of 100 such calls"),
    "asked": N_("asked to be called back"),
    "called_back": N_("we rang back the caller of an earlier call"),
    "nobody": N_("probably nobody we know ({percent} %)"),
    "no_candidates": N_("nobody was shown this number"),
}


def explain(reason: Reason) -> str:
    """Plain English: "tapped this number 9 s before the call". An unknown code is returned as it is."""
    words = WORDS.get(reason.code, reason.code)
    return words.format(span=span(reason.values.get("seconds", 0)), percent=reason.values.get("percent", 0))


def span(seconds: int) -> str:
    """9 s, 4 min, 3 h, 2 d: one unit, rounded down."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def read(text: str) -> Reason | None:
    """What `explain` was given when it answered this text; None for a text that is not its."""
    for code, words in WORDS.items():
        if found := re.fullmatch(_pattern(words), text):
            return Reason(code, {name: _value(name, said) for name, said in found.groupdict().items()})
    return None


_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def _pattern(words: str) -> str:
    pattern = re.escape(words).replace(r"\{span\}", r"(?P<seconds>\d+ (?:s|min|h|d))")
    return pattern.replace(r"\{percent\}", r"(?P<percent>\d+)")


def _value(name: str, said: str) -> int:
    count, _, unit = said.partition(" ")
    return int(count) * (_SECONDS[unit] if name == "seconds" else 1)
