"""scripts/bench NAME [--json]: runs one benchmark, prints its figures as a table or as one JSON object."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from types import ModuleType

from benchmarks import attribution, calls, deliveries, reports, visits
from benchmarks.common import Figure, say

BENCHMARKS: dict[str, ModuleType] = {
    "attribution": attribution,
    "calls": calls,
    "deliveries": deliveries,
    "reports": reports,
    "visits": visits,
}


def main() -> int:
    """0, or 1 when the benchmark itself went wrong (work was lost): its figures mean nothing then."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        figures = BENCHMARKS[options.name].run(options, say)
    except KeyboardInterrupt:
        return 130
    except RuntimeError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    text = _json(options.name, figures) if options.json else _table(options.name, figures)
    sys.stdout.write(text + "\n")
    return 0 if all(figure.reached for figure in figures if figure.must) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    names = parser.add_subparsers(title="benchmarks", metavar="NAME", dest="name", required=True)
    for name, module in BENCHMARKS.items():
        one = names.add_parser(
            name,
            help=module.ABOUT,
            description=module.ABOUT,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        one.add_argument("--json", action="store_true", help="one JSON object instead of a table")
        module.add_options(one)
    return parser.parse_args()


def _json(name: str, figures: list[Figure]) -> str:
    return json.dumps({"benchmark": name, **{figure.name: figure.value for figure in figures}})


def _table(name: str, figures: list[Figure]) -> str:
    wide = max(len(figure.name) for figure in figures)
    lines = [f"{name}: {BENCHMARKS[name].ABOUT}", ""]
    for figure in figures:
        aim = f"   {figure.aim}: {'reached' if figure.reached else 'NOT REACHED'}" if figure.aim else ""
        lines.append(f"  {figure.name:<{wide}}  {figure.value:>10}  {figure.text}{aim}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
