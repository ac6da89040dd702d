"""How long attribution and allocation take: milliseconds a call, microseconds a page view; best of several runs."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from ctserver.domain.attribution import CallFacts, Candidate, SignalAt, attribute
from ctserver.domain.delay import MINUTE
from ctserver.domain.pool import Holder, Newcomer, NumberState, pick

NOW = 1_770_000_000_000
HOLD = 30 * MINUTE
REGIONS = ("", "R1", "R2", "R3")
DEVICES = ("phone", "desktop")


def candidates(count: int, apart_ms: int) -> list[Candidate]:
    """Showings of one number every `apart_ms`; each stayed 3 minutes, every fourth tapped."""
    rows = []
    for i in range(count):
        at = NOW - (i + 1) * apart_ms
        left = at + 3 * MINUTE if at + 3 * MINUTE < NOW else None
        signals = (SignalAt("tapped", at + MINUTE),) if i % 4 == 0 else ()
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
            at = NOW - (i + turn * numbers + 1) * minutes_apart * MINUTE // 2
            left = at + 3 * MINUTE if at + 3 * MINUTE < NOW else None
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


def attribution_bench() -> dict[str, float]:
    """Name and figure; `_ms` and `_us` say the unit."""
    call = CallFacts("+1", NOW, "+79001112233", "R1")
    days, hour = candidates(5000, 10 * MINUTE), candidates(5000, 700)
    newcomer = Newcomer("new", "R1", "phone")
    roomy, short = states(36, 2), states(12, 1)
    return {
        "attribute_5000_over_days_ms": best_of(40, lambda: attribute(call, days)) * 1e3,
        "attribute_5000_within_an_hour_ms": best_of(40, lambda: attribute(call, hour)) * 1e3,
        "attribute_20_ms": best_of(40, lambda: attribute(call, days[:20])) * 1e3,
        "pick_36_one_free_us": best_of(200, lambda: pick(roomy, newcomer, NOW, hold_ms=HOLD)) * 1e6,
        "pick_12_all_held_us": best_of(200, lambda: pick(short, newcomer, NOW, hold_ms=HOLD)) * 1e6,
    }


if __name__ == "__main__":
    for name, figure in attribution_bench().items():
        print(f"{name:<36}{figure:10.3f}")
