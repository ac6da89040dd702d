"""How many numbers does this site need? Four answers side by side: the trade's rule, the peak, Erlang B, and sharing.

Erlang B answers for pools that hold a number exclusively: the share of visitors who find none free. Sharing is answered
by simulation with the site's own traffic (`fit`), since a shared number costs accuracy only when two callers meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, log, sqrt

from ctserver.domain.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from ctserver.services.simulation.run import Result, replay
from ctserver.services.simulation.traffic import Traffic, make

TARGETS = (0.9, 0.95, 0.99)
"""Shares of visitors that should find a number free."""

LINGERS = 20 * MINUTE_MS
"""Longer stays are taken as pages left open and kept out of the usual stay. Ours."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A showing from the site's own records: when (epoch ms), how long the page was open (ms), device and region."""

    shown_at: int
    stay: int
    device: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class PoolSize:
    """`exclusive[share]`: numbers for that share of visitors under exclusive holding in the busiest hour.
    `simulated`: accuracy by size when numbers are shared. `one_more`: what one number more gains beyond `numbers`."""

    visitors_a_day: float
    busiest_hour: float
    peak: int
    rule_of_thumb: int
    exclusive: Mapping[float, int]
    simulated: tuple[Result, ...]
    numbers: int
    one_more: float


def trade_rule(visitors_in_three_days: float) -> int:
    """Visitors of three days / 3 / 100, rounded up: the rule quoted in the trade (1628 visitors: 6 numbers)."""
    return max(1, ceil(visitors_in_three_days / 3 / 100))


def exclusive_numbers(erlangs: float, served: float) -> int:
    """The fewest numbers with which that share (below 1) of arrivals finds one free, by Erlang's recursion (his formula B)."""
    blocked, numbers = 1.0, 0
    while 1.0 - blocked < served:
        numbers += 1
        blocked = erlangs * blocked / (numbers + erlangs * blocked)
    return numbers


def peak_concurrency(stays: Iterable[tuple[int, int]]) -> int:
    """The most (start, end) intervals open at one moment; an end makes room for a start at the same time."""
    steps = Counter[tuple[int, int]]()
    for start, end in stays:
        steps[start, 1] += 1
        steps[end, -1] += 1
    most = now = 0
    for (_, step), count in sorted(steps.items(), key=lambda item: item[0]):
        now += step * count
        most = max(most, now)
    return most


def fit(showings: Sequence[Recorded], days: float, calls: int = 0, tapped: int = 0) -> Traffic:
    """Traffic like the site's: how many, when, how long, on what; calls and taps if there were enough calls to tell."""
    base = Traffic()
    if not showings or days <= 0:
        return base
    median, sigma, lingering = _stays(showings)
    fitted = replace(
        base,
        visitors=len(showings) / days,
        day_profile=_profile(showings),
        stay_median=median,
        stay_sigma=sigma,
        lingering=lingering,
        phones=_phones(showings, base.phones),
        regions=_regions(showings) or base.regions,
    )
    if calls >= 30:
        fitted = replace(fitted, call_share=min(0.5, calls / len(showings)), taps=min(1.0, tapped / calls))
    return fitted


def _profile(showings: Sequence[Recorded]) -> tuple[float, ...]:
    hours = Counter(s.shown_at // HOUR_MS % 24 for s in showings)
    return tuple((hours[h] + 0.1) / (len(showings) + 2.4) for h in range(24))


def _stays(showings: Sequence[Recorded]) -> tuple[int, float, float]:
    """Median and spread of the usual stays, and the share of pages left open."""
    usual = [log(max(SECOND_MS, s.stay)) for s in showings if s.stay < LINGERS] or [log(Traffic().stay_median)]
    mean = sum(usual) / len(usual)
    spread = sqrt(sum((value - mean) ** 2 for value in usual) / len(usual))
    lingering = sum(s.stay >= LINGERS for s in showings) / len(showings)
    return int(exp(mean)), min(2.0, max(0.2, spread)), lingering


def _phones(showings: Sequence[Recorded], otherwise: float) -> float:
    known = [s.device for s in showings if s.device]
    share = sum(device != "desktop" for device in known) / len(known) if known else otherwise
    return min(0.99, max(0.01, share))


def _regions(showings: Sequence[Recorded]) -> tuple[float, ...]:
    counts = Counter(s.region for s in showings if s.region)
    return tuple(n / sum(counts.values()) for _, n in counts.most_common(20))


def pool_size(
    showings: Sequence[Recorded],
    days: float,
    numbers: int,
    *,
    hold_ms: int = 30 * MINUTE_MS,
    calls: int = 0,
    tapped: int = 0,
    sizes: Sequence[int] = (),
    simulated_days: int = 14,
    seed: int = 1,
) -> PoolSize:
    """The four answers. `numbers` is what the site has now; `sizes` are simulated besides `numbers` and one more."""
    traffic = fit(showings, days, calls, tapped)
    hourly = Counter(s.shown_at // HOUR_MS for s in showings)
    busiest = float(max(hourly.values(), default=0))
    world = make(traffic, simulated_days, seed)
    wanted = sorted({*sizes, numbers, numbers + 1})
    results = {size: replay(world, "ctserver", size).result() for size in wanted if size > 0}
    now = results[numbers].accuracy if numbers in results else 0.0
    return PoolSize(
        visitors_a_day=len(showings) / days if days > 0 else 0.0,
        busiest_hour=busiest,
        peak=peak_concurrency((s.shown_at, s.shown_at + max(s.stay, hold_ms)) for s in showings),
        rule_of_thumb=trade_rule(3 * len(showings) / days if days > 0 else 0.0),
        exclusive={share: exclusive_numbers(busiest * hold_ms / HOUR_MS, share) for share in TARGETS},
        simulated=tuple(results[size] for size in sorted(results)),
        numbers=numbers,
        one_more=results[numbers + 1].accuracy - now,
    )
