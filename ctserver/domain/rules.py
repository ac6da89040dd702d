"""Which number a visit is to be shown, before any pool is asked: the first rule in the file that fits decides.

A rule fits when every condition it names fits; a condition fits when one of its patterns does (`*` and `?` as in file
names, letters of either case). No rule fits: the target's own pool. A site switched to static shows no pool at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

CONDITIONS = ("channel", "medium", "source", "campaign", "landing", "referrer", "region", "device")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule can ask about a visit. `landing` and `referrer` are URLs without their scheme."""

    site: str
    target: str
    channel: str = ""
    medium: str = ""
    source: str = ""
    campaign: str = ""
    landing: str = ""
    referrer: str = ""
    region: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`show` is ("pool", name), ("static", name) or ("page", ""). An empty `site` or `target` means any."""

    name: str
    show: tuple[str, str]
    site: str = ""
    target: str = ""
    conditions: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to show, and in words why."""

    show: tuple[str, str]
    why: str


def decide(rules: Sequence[Rule], facts: Facts, pool: str) -> Decision:
    """The first rule that fits, else the target's pool, else the page's own number."""
    for rule in rules:
        if mismatch(rule, facts) is None:
            return Decision(rule.show, f"rule {rule.name}")
    if pool:
        return Decision(("pool", pool), "no rule fits: the target's own pool")
    return Decision(("page", ""), "no rule fits, and the target has no pool")


def mismatch(rule: Rule, facts: Facts) -> str | None:
    """Why a rule does not fit, in words; None if it does."""
    if rule.site and rule.site != facts.site:
        return f"it is for the site {rule.site}"
    if rule.target and rule.target != facts.target:
        return f"it is for the target {rule.target}"
    for condition, patterns in rule.conditions.items():
        value = str(getattr(facts, condition)).lower()
        if not any(fnmatchcase(value, pattern.lower()) for pattern in patterns):
            return f"{condition} is {value or 'empty'!r}, not {' or '.join(patterns)}"
    return None
