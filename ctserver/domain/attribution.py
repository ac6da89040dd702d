"""Whose call is this, how do we know, how sure are we."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctserver.domain.model import NOBODY, Attribution, Source

LOOK_BACK_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A session that was shown the called number."""

    session: str
    shown_at: int
    seen_at: int
    until: int
    source: Source


def attribute(candidates: Sequence[Candidate], now: int) -> Attribution:
    """The answer for a call at `now` to a pool number, from everyone it was shown to."""
    shown = [candidate for candidate in candidates if candidate.shown_at <= now]
    if not shown:
        return NOBODY
    holders = [candidate for candidate in shown if candidate.until >= now]
    latest = max(holders or shown, key=lambda candidate: candidate.seen_at)
    seconds = max(0, (now - latest.seen_at) // 1000)
    why = f"seen this number {seconds} s before the call"
    if len(holders) == 1:
        return Attribution("exact", 0.95, latest.session, latest.source, f"the only visitor holding it, {why}")
    if holders:
        return Attribution(
            "ambiguous", 1 / len(holders), latest.session, latest.source, f"one of {len(holders)}, {why}"
        )
    return Attribution("likely", 0.5, latest.session, latest.source, f"the last visitor who had it, {why}")
