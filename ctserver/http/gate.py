"""Who is served a number: people on the site's own pages, not bots, not excluded addresses, not one address that asks
for visitor after visitor."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from ctserver.config import Settings, Site
from ctserver.domain import channel, source, visitor
from ctserver.domain.model import DIRECT, Source, VisitorFacts
from ctserver.http.asked import Asked
from ctserver.http.geo import Geo, IpMode, client_ip, truncate_ip
from ctserver.http.limits import Limiter
from ctserver.recent import Recent

KNOWN_VISITORS = 50_000
BURST_MINUTES = 1
MOST_OF_A_SITE = 10  # no address has more than this part of a site's page views


class Refused(Exception):
    """This request is not served; the message goes into X-Ct-Refused, and the page keeps its own number."""


class Asker(NamedTuple):
    """Who asks: his address and his browser's name for itself."""

    ip: str
    user_agent: str


class Gate:
    """The rules of the settings, made ready to be asked often."""

    def __init__(self, settings: Settings, geo: Geo) -> None:
        self._settings = settings
        self._geo = geo
        self._excluded = {name: _networks(site) for name, site in settings.sites.items()}
        newcomers, views = settings.limits.new_visitors_per_minute, settings.limits.visits_per_site_per_minute
        of_address = max(views // MOST_OF_A_SITE, newcomers) if views else 0
        self._newcomers = Limiter(newcomers, BURST_MINUTES * newcomers)
        self._views = Limiter(views, BURST_MINUTES * views)
        self._views_of_address = Limiter(of_address, BURST_MINUTES * of_address)
        self._signals_of_address = Limiter(of_address, BURST_MINUTES * of_address)
        self._known: Recent[str, int] = Recent(KNOWN_VISITORS)  # with what last brought them, as `_trace` has it

    def asker(self, asked: Asked) -> Asker:
        ip = client_ip(asked, self._settings.server.trust_proxy)
        return Asker(ip, asked.headers.get("User-Agent", ""))

    def admit(self, asked: Asked, asker: Asker, site_name: str, page_host: str) -> None:
        """Raises Refused for whoever is not to have a number, whoever he says he is."""
        site = self._settings.sites[site_name]
        if not source.is_own(page_host, site.domains):
            raise Refused("this page is not on the site's domains")
        if not site.serve_bots and (bot := visitor.is_bot(asker.user_agent, asked.headers)):
            raise Refused(bot)
        excluded = self._excluded[site_name]
        if excluded and any(ip_address(asker.ip) in network for network in excluded if _is_ip(asker.ip)):
            raise Refused("this address is excluded")

    def count(self, asker: Asker, site_name: str, visitor_id: str, now: int, found: Source = DIRECT) -> None:
        """Raises Refused when this site or this address asks too often. A visitor whom something else brings than last time
        counts as new: he takes another number."""
        last = self._known.get(visitor_id)
        is_new = last is None or (found != DIRECT and _trace(found) != last)
        if is_new and not self._newcomers.allow(asker.ip, now):
            raise Refused("too many new visitors from this address")
        if not self._views_of_address.allow(asker.ip, now):
            raise Refused("too many page views from this address")
        if not self._views.allow(site_name, now):  # after that: who is refused takes nothing from the others
            raise Refused("too many page views of this site")

    def count_signal(self, asker: Asker, now: int) -> None:
        """Raises Refused when this address says too much."""
        if not self._signals_of_address.allow(asker.ip, now):
            raise Refused("too many signals from this address")

    def remember(self, visitor_id: str, found: Source) -> None:
        """This visitor is one of ours: he does not count as new again while nothing else brings him."""
        self._known.put(visitor_id, _trace(found) if found != DIRECT else self._known.get(visitor_id) or 0)

    def known_address(self, asker: Asker) -> str:
        """As much of his address as the settings keep."""
        mode: IpMode = self._settings.privacy.ip
        return truncate_ip(asker.ip, mode)

    def facts(self, asker: Asker, found: Source, ids: dict[str, str], properties: dict[str, str]) -> VisitorFacts:
        """What is known of him, with as much of his address as the settings keep."""
        device = visitor.device(asker.user_agent)
        place = self._geo.place(asker.ip)
        mode: IpMode = self._settings.privacy.ip
        return VisitorFacts(
            channel=channel.channel(found),
            country=place.code.partition("-")[0],
            region=place.region,
            city=place.city,
            device=device.kind,
            browser=device.browser,
            os=device.os,
            ip=truncate_ip(asker.ip, mode),
            ids=ids,
            properties=properties,
        )


def _trace(found: Source) -> int:
    return hash((found.medium, found.source, found.campaign, found.term, found.content, *found.click_ids.values()))


def _networks(site: Site) -> list[IPv4Network | IPv6Network]:
    return [ip_network(text) for text in site.exclude_ips]


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
