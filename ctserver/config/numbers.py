"""The directory of numbers: what each tracked number is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ctserver.config.settings import Settings
from ctserver.domain.model import Source


@dataclass(frozen=True, slots=True)
class NumberUse:
    """What a tracked number is for."""

    number: str
    site: str
    line: str
    pool: str = ""
    source: Source | None = None


def number_uses(settings: Settings) -> dict[str, NumberUse]:
    """Every tracked number: those of the pools, and the static ones with their sources."""
    uses: dict[str, NumberUse] = {}
    for pool_id, site_id, line in _pool_owners(settings):
        pool = settings.pools[pool_id]
        for number in pool.numbers:
            uses.setdefault(number, NumberUse(number, site_id, pool.line or line, pool=pool_id))
    for static in settings.static.values():
        line = static.line or settings.sites[static.site].line or settings.default_line
        source = Source(static.medium, static.source, static.campaign)
        uses[static.number] = NumberUse(static.number, static.site, line, source=source)
    return uses


def _pool_owners(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """(pool, site, line) for every pool that a target or a rule uses, and then for those that nothing uses yet."""
    for site_id, site in settings.sites.items():
        for target in site.all_targets.values():
            if target.pool:
                yield target.pool, site_id, target.line or site.line or settings.default_line
    first = next(iter(settings.sites), "")
    for rule in settings.rules:
        if rule.pool:
            site_id = rule.site or first
            yield rule.pool, site_id, (settings.sites[site_id].line if site_id else "") or settings.default_line
    for pool_id in settings.pools:
        yield pool_id, "", settings.default_line
