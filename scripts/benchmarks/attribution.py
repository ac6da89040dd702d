"""How long attribution and allocation take: milliseconds a call, microseconds a page view; best of several runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter

from benchmarks.common import Figure
from ctserver.domain.attribution import CallFacts, Candidate, SignalAt, attribute
from ctserver.domain.clock import MINUTE_MS
from ctserver.domain.pool import Holder, Newcomer, NumberState, pick

ABOUT = "one call attributed among thousands of candidates, one number picked, in this process"
NOW = 1_770_000_000_000
HOLD = 30 * MINUTE_MS
REGIONS = ("", "R1", "R2", "R3")
DEVICES = ("phone", "desktop")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--candidates", type=int, default=5000, help="showings of the called number")


def candidates(count: int, apart_ms: int) -> list[Candidate]:
    """Showings of one number every `apart_ms`; each stayed 3 minutes, every fourth tapped."""
    rows = []
    for i in range(count):
        at = NOW - (i + 1) * apart_ms
        left = at + 3 * MINUTE_MS if at + 3 * MINUTE_MS < NOW else None
        signals = (SignalAt("tapped", at + MINUTE_MS),) if i % 4 == 0 else ()
        rows.append(
            Candidate(
                f"s{i}", "+1", at, left or NOW - 5000, left, signals, REGIONS[i % 4], DEVICES[i % 2], visitor=f"v{i}"
            )
        )
    return rows


def states(numbers: int, minutes_apart: int) -> list[NumberState]:
    """Numbers shown one after another, each held by its last three visitors."""
    made = []
    for i in range(numbers):
        holders = []
        for turn in range(3):
            at = NOW - (i + turn * numbers + 1) * minutes_apart * MINUTE_MS // 2
            left = at + 3 * MINUTE_MS if at + 3 * MINUTE_MS < NOW else None
            last = left or NOW - 5000
            holders.append(Holder(f"s{i}-{turn}", f"+{i}", at, last, left, last + HOLD, "R1", "phone"))
        made.append(NumberState(f"+{i}", holders[0].shown_at, tuple(holders)))
    return made


def best_of(runs: int, work: Callable[[], object]) -> float:
    """The shortest of several runs, in seconds: what the code costs, not what else the machine does."""
    times = []
    for _ in range(runs):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return min(times)


def run(options: argparse.Namespace, say: Callable[[str], None]) -> list[Figure]:
    """The figures; the baseline is one candidate, so that the ratio tells what a crowd costs."""
    say("scoring calls against their candidates")
    call = CallFacts("+1", NOW, "+79001112233", "R1")
    days, hour = candidates(options.candidates, 10 * MINUTE_MS), candidates(options.candidates, 700)
    newcomer = Newcomer("new", "R1", "phone")
    roomy, short = states(36, 2), states(12, 1)
    one = best_of(200, lambda: attribute(call, days[:1])) * 1e3
    many = best_of(40, lambda: attribute(call, days)) * 1e3
    crowd = best_of(40, lambda: attribute(call, hour)) * 1e3
    return [
        Figure("attribute_ms", round(many, 3), f"one call, {options.candidates} candidates over days", "<= 5"),
        Figure("attribute_crowd_ms", round(crowd, 3), "all of them within an hour, a quarter tapped", "<= 5"),
        Figure("attribute_one_ms", round(one, 4), "baseline: one candidate"),
        Figure(
            "candidate_ratio", round(many / one / options.candidates, 4), "cost of one more candidate against the first"
        ),
        Figure(
            "pick_free_ms", round(best_of(200, lambda: pick(roomy, newcomer, NOW, hold_ms=HOLD)) * 1e3, 4), "36 numbers"
        ),
        Figure(
            "pick_shared_ms",
            round(best_of(200, lambda: pick(short, newcomer, NOW, hold_ms=HOLD)) * 1e3, 4),
            "12, all held",
        ),
    ]
