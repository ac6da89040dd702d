"""Results as JSON, as a table, and as a picture (SVG written by hand)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape

from ctserver.services.simulation.run import Result

COLOURS = {"pin": "#8a8f98", "steal": "#c07a2c", "ctserver": "#2166c0"}
WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 130, 30, 50


def to_json(results: Sequence[Result]) -> str:
    """A list of objects, fields as in `Result`."""
    return json.dumps([asdict(r) for r in results], indent=2)


def table(results: Sequence[Result]) -> str:
    """One line per policy and size, shares in per cent."""
    names = f"{'policy':<10}{'numbers':>8}{'calls':>8}{'accuracy':>10}{'coverage':>10}"
    head = names + f"{'calibration':>13}{'shared':>9}{'no number':>11}"
    lines = [
        f"{r.policy:<10}{r.numbers:>8}{r.calls:>8}{r.accuracy:>10.1%}{r.coverage:>10.1%}"
        f"{r.calibration_error:>13.3f}{r.shared:>9.1%}{r.overflowed:>11.1%}"
        for r in results
    ]
    return "\n".join([head, *lines])


def svg(results: Sequence[Result], title: str = "Calls credited to the right visitor") -> str:
    """Accuracy over the number of numbers, one line per policy."""
    most = max((r.numbers for r in results), default=1)
    least = min((10 * int(r.accuracy * 10) for r in results), default=0)

    def x(numbers: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * numbers / most

    def y(percent: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (100 - percent) / (100 - least)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-weight="600">{escape(title)}, %</text>',
    ]
    for percent in range(least, 101, 10):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(percent):.1f}" y2="{y(percent):.1f}" stroke="#e3e5e8"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{y(percent) + 4:.1f}" text-anchor="end" fill="#555">{percent}</text>')
    for numbers in sorted({r.numbers for r in results}):
        parts.append(
            f'<text x="{x(numbers):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" fill="#555">{numbers}</text>'
        )
    parts.append(
        f'<text x="{x(most / 2):.1f}" y="{HEIGHT - 10}" text-anchor="middle" fill="#555">numbers in the pool</text>'
    )
    for policy in dict.fromkeys(r.policy for r in results):
        line = sorted((r.numbers, 100 * r.accuracy) for r in results if r.policy == policy)
        colour = COLOURS.get(policy, "#333")
        points = " ".join(f"{x(n):.1f},{y(a):.1f}" for n, a in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(n):.1f}" cy="{y(a):.1f}" r="3" fill="{colour}"/>' for n, a in line]
    parts += _legend(results)
    return "\n".join([*parts, "</svg>", ""])


def _legend(results: Sequence[Result]) -> list[str]:
    """In a column of its own: lines that meet would hide labels at their ends."""
    parts = []
    for i, policy in enumerate(dict.fromkeys(r.policy for r in results)):
        at, colour = TOP + 20 + 22 * i, COLOURS.get(policy, "#333")
        start = WIDTH - RIGHT + 20
        parts.append(f'<line x1="{start}" x2="{start + 20}" y1="{at}" y2="{at}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{start + 26}" y="{at + 4}" fill="{colour}">{escape(policy)}</text>')
    return parts
