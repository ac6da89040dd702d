"""The score card of a call: a few criteria, 1 to 5 each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctserver.domain.words import N_

CRITERIA: Mapping[str, str] = {
    "greeting": N_("Greeting and name"),
    "need": N_("Understood what was wanted"),
    "answer": N_("Answered clearly and correctly"),
    "next_step": N_("Agreed on the next step"),
    "courtesy": N_("Courtesy"),
}
SCORES = (1, 2, 3, 4, 5)


def of_settings(own: Sequence[str]) -> Mapping[str, str]:
    """The criteria, code -> English name: one's own (their name is their code), else the usual ones."""
    return {name: name for name in own} if own else CRITERIA


def total(scores: Mapping[str, int]) -> int | None:
    """The mean of 100; None without a score."""
    return round(20 * sum(scores.values()) / len(scores)) if scores else None
