"""Why a call was credited as it was: a code with values, and plain English made of it.

The code and its values are what is stored; other languages have their own words for the same codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reason:
    """`code` is a key of WORDS; `values` hold `seconds` (a span) or `percent` (0-100) where the words need them."""

    code: str
    values: Mapping[str, int] = field(default_factory=dict)


WORDS: Mapping[str, str] = {
    "static": "this number belongs to one source",
    "tapped": "tapped this number {span} before the call",
    "copied": "copied this number {span} before the call",
    "revealed": "asked to see this number {span} before the call",
    "hidden": "left the browser for something else {span} before the call, as people do to dial",
    "only": "nobody else had this number lately; shown {span} before the call",
    "on_page": "was on the page at the time of the call, having been shown this number {span} before",
    "left": "had been shown this number {span} before the call, and had left the page",
    "repeat": "the same caller rang {span} before; no new visit since",
    "returned": "the same caller rang {span} before and has visited again since",
    "ambiguous": "several visitors had this number; the best guess is right in {percent} of 100 such calls",
    "nobody": "probably nobody we know ({percent} %)",
    "no_candidates": "nobody was shown this number",
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
