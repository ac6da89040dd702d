"""Commands that answer questions about numbers, rules and attribution."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from ctserver import app, config, ids
from ctserver.cli.common import Add, load_settings, moment, open_database
from ctserver.config import Settings
from ctserver.domain import rules, source
from ctserver.domain.calibration import Calibration
from ctserver.domain.model import VisitorFacts
from ctserver.services import attribution, pools, simulation, visits
from ctserver.services.simulation.policies import POLICIES
from ctserver.sinks import Sinks


def register(add: Add) -> None:
    rule = add("rules", _rules, "explain which number a visit would be shown, and why")
    rule.add_argument("url", help="the page a visitor lands on")
    rule.add_argument("--referrer", default="")
    rule.add_argument("--target", default=config.MAIN)
    rule.add_argument("--region", default="")
    rule.add_argument("--device", default="", choices=["", "desktop", "phone", "tablet"])
    redo = add("reattribute", _reattribute, "ask again whose calls they were, and tell what would change")
    redo.add_argument("--since", required=True, metavar="DATE", help="2026-01-31, or a time like 2026-01-31T12:00")
    redo.add_argument("--apply", action="store_true", help="write the changes; without it nothing is changed")
    sim = add(
        "simulate", _simulate, "replay synthetic traffic: which policy names how many calls with how many numbers"
    )
    sim.add_argument("--visitors", type=float, default=543, help="visits a day, default: %(default)s")
    sim.add_argument("--numbers", type=_sizes, default=(6, 9, 12, 18, 24, 36), help="pool sizes: 6,12,24")
    sim.add_argument("--policy", type=_policies, default=tuple(POLICIES), help="of " + ",".join(POLICIES))
    sim.add_argument("--days", type=int, default=30)
    sim.add_argument("--taps", type=float, default=0.5, help="share of calls made by tapping, default: %(default)s")
    sim.add_argument(
        "--reveal", type=float, help="share of visitors who uncover a hidden number; default: never hidden"
    )
    sim.add_argument("--seed", type=int, default=1)
    sim.add_argument("--from-db", action="store_true", help="traffic like that of the site's own last two weeks")
    sim.add_argument("--pool", help="with --from-db: whose traffic; default: the first pool")
    sim.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    sim.add_argument("--plot", type=Path, metavar="FILE", help="write a plot, SVG")
    size = add("pool-size", _pool_size, "how many numbers for which share of calls, from the site's own traffic")
    size.add_argument("--pool", help="default: every pool")
    size.add_argument("--json", action="store_true")
    sure = add(
        "calibration", _calibration, "is a confidence of 80 %% right in 80 of 100 calls? Over calls that taps explain"
    )
    sure.add_argument("--since", default="2000-01-01", metavar="DATE", help="2026-01-31")


def _rules(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    host = source.host_of(options.url)
    site = next((name for name, site in settings.sites.items() if source.is_own(host, site.domains)), None)
    if site is None:
        raise app.StartError(f"no site has the domain {host!r}", "add it to `domains` of a site, or give a full URL")
    targets = settings.sites[site].all_targets
    if options.target not in targets:
        raise app.StartError(f"{site} has no target {options.target!r}", f"name one of: {', '.join(targets)}")
    found = source.classify(options.url, options.referrer, settings.sites[site].domains)
    known = VisitorFacts(region=options.region, device=options.device)
    facts = visits.facts_of(site, options.target, found, known, options.url, options.referrer)
    book = visits.rule_book(settings)
    lines = [f"site {site}, target {options.target}: {found.source} / {found.medium} {found.campaign}".rstrip()]
    for rule in book:
        lines.append(f"  rule {rule.name}: {rules.mismatch(rule, facts) or 'fits'}")
        if rules.mismatch(rule, facts) is None:
            break
    decision = rules.decide(book, facts, targets[options.target].pool)
    shown = {"pool": "a number of the pool", "static": "the static number", "page": "the page's own number"}
    lines.append(f"shown: {shown[decision.show[0]]} {decision.show[1]}".rstrip() + f" ({decision.why})")
    if settings.sites[site].static_only:
        lines.append("but static_only is on: only the static number of the source, or the page's own")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _reattribute(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    since = moment(options.since)

    async def ask() -> list[attribution.Change]:
        async with open_database(settings) as db:
            attributor = await attribution.Attributor.load(db, settings)
            if not options.apply:
                return await attribution.reattribute(db, attributor, since, ids.now_ms())
            sinks = Sinks(db, settings)
            try:
                return await attribution.reattribute(db, attributor, since, ids.now_ms(), sinks.facts)
            finally:
                await sinks.stop()

    changes = asyncio.run(ask())
    for change in changes:
        when = f"{datetime.fromtimestamp(change.at / 1000, UTC).astimezone():%F %T}"
        before, after = (f"{kind} {source or '-'} {sure:.0%}" for kind, source, sure in (change.before, change.after))
        sys.stdout.write(f"{when}  {change.did}  {before}  ->  {after}\n")
    done = "changed" if options.apply else "would change; --apply changes them"
    sys.stdout.write(f"{len(changes)} calls {done}\n")
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(","))
    if not all(0 < size <= 1000 for size in sizes):
        raise argparse.ArgumentTypeError("pool sizes are from 1 to 1000")
    return sizes


def _policies(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    if unknown := [name for name in wanted if name not in POLICIES]:
        raise argparse.ArgumentTypeError(f"no policy {unknown[0]!r}; there are {', '.join(POLICIES)}")
    return wanted


def _simulate(options: argparse.Namespace) -> int:
    traffic = simulation.Traffic(visitors=options.visitors, taps=options.taps, reveal=options.reveal)
    if options.from_db:
        settings = load_settings(options)
        asked = asyncio.run(_ask(settings, _pool_names(settings, options.pool)[0]))
        traffic = simulation.fit(asked.showings, asked.days, asked.calls, asked.tapped)
    results = simulation.compare_traffic(traffic, options.numbers, options.policy, options.days, options.seed)
    if options.plot:
        options.plot.write_text(simulation.svg(results), encoding="utf-8")
    sys.stdout.write((simulation.to_json(results) if options.json else simulation.table(results)).rstrip() + "\n")
    return 0


def _pool_names(settings: Settings, wanted: str | None) -> list[str]:
    if wanted and wanted not in settings.pools:
        raise app.StartError(f"there is no pool {wanted!r}", f"name one of: {', '.join(settings.pools)}")
    names = [wanted] if wanted else list(settings.pools)
    if not names:
        raise app.StartError("there is no pool", "add [pools.NAME] to the settings")
    return names


async def _ask(settings: Settings, pool: str) -> pools.Question:
    async with open_database(settings) as db:
        return await pools.question(db, settings, pool, ids.now_ms())


def _pool_size(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    answers = {}
    for name in _pool_names(settings, options.pool):
        asked = asyncio.run(_ask(settings, name))
        if not asked.showings:
            raise app.StartError(f"nobody has been shown a number of the pool {name} yet", "try `ctserver simulate`")
        answers[name] = asked.answer()
    if options.json:
        sys.stdout.write(json.dumps({name: pools.plain(answer) for name, answer in answers.items()}) + "\n")
        return 0
    for name, answer in answers.items():
        exclusive = ", ".join(f"{count} for {share:.0%}" for share, count in answer.exclusive.items())
        sys.stdout.write(
            f"pool {name}: {answer.numbers} numbers, {answer.visitors_a_day:.0f} visitors a day, "
            f"{answer.busiest_hour:.0f} in the busiest hour, {answer.peak} holding one at once at most\n"
            f"  the trade's rule of thumb: {answer.rule_of_thumb}; one for each visitor alone: {exclusive}\n"
        )
        for result in answer.simulated:
            now = "  <- now" if result.numbers == answer.numbers else ""
            sys.stdout.write(f"  {result.numbers:>4} numbers name {result.accuracy:.1%} of calls rightly{now}\n")
        sys.stdout.write(f"  one number more: {answer.one_more:+.1%}\n")
    return 0


def _calibration(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    since = moment(options.since)

    async def ask() -> Calibration:
        async with open_database(settings) as db:
            attributor = await attribution.Attributor.load(db, settings)
            return await attribution.calibration(db, attributor, since, ids.now_ms())

    found = asyncio.run(ask())
    sys.stdout.write(f"{found.calls} calls whose truth is known, expected calibration error {found.error:.3f}\n")
    for cell in found.bins:
        sys.stdout.write(f"  said {cell.predicted:.0%}, was right {cell.observed:.0%} ({cell.calls} calls)\n")
    return 0
