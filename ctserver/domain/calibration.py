"""Is a confidence of 80 % right in 80 of 100 calls? Predicted against observed, over calls whose truth is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BINS = 10


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Calls whose confidence lay in [low, high): their number, mean confidence, and the share that was right."""

    low: float
    high: float
    calls: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """`error` is the expected calibration error: mean |predicted - observed| over bins, weighted by calls."""

    calls: int
    error: float
    bins: tuple[CalibrationBin, ...]


def calibrate(outcomes: Iterable[tuple[float, bool]], bins: int = BINS) -> Calibration:
    """Compare (confidence, was it right) pairs. No outcomes: no error. Empty bins are left out."""
    sums = [[0.0, 0.0, 0.0] for _ in range(bins)]
    for confidence, right in outcomes:
        cell = sums[min(bins - 1, max(0, int(confidence * bins)))]
        cell[0] += 1
        cell[1] += confidence
        cell[2] += right
    calls = sum(cell[0] for cell in sums)
    filled = tuple(
        CalibrationBin(i / bins, (i + 1) / bins, int(n), predicted / n, right / n)
        for i, (n, predicted, right) in enumerate(sums)
        if n
    )
    error = sum(b.calls * abs(b.predicted - b.observed) for b in filled) / calls if calls else 0.0
    return Calibration(int(calls), error, filled)
