"""/metrics for Prometheus: for the addresses of `[api] metrics_from`, and for tokens with the right `system`. No label holds a phone number
or a name that grows."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ctserver import __version__
from ctserver.domain.rights import Right
from ctserver.http.deps import DEPS, USER, Deps, Health
from ctserver.http.geo import client_ip
from ctserver.storage import metrics

Metrics = Iterable[GaugeMetricFamily]


def add_routes(app: web.Application) -> None:
    app.router.add_get("/metrics", page)


async def page(request: web.Request) -> web.StreamResponse:
    deps, user = request.app[DEPS], request.get(USER)
    if not (user.may(Right.SYSTEM) if user else _is_near(request, deps)):
        raise web.HTTPForbidden if user else web.HTTPUnauthorized
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Ready(_metrics(deps, await deps.health(), await metrics.counts(deps.db, deps.now()))))
    return web.Response(
        body=generate_latest(registry),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"},
    )


class _Ready(Collector):
    """What was read already."""

    def __init__(self, found: Metrics) -> None:
        self._found = list(found)

    def collect(self) -> Metrics:
        return self._found


def _metrics(deps: Deps, health: Health, counts: dict[str, dict[str, int]]) -> Metrics:
    pools = deps.settings.pools
    yield _gauge("ctserver_info", "The version", "version", {__version__: 1})
    yield _gauge(
        "ctserver_up",
        "1 where a part works",
        "part",
        {name: int(state == "ok") for name, state in health.parts.items()},
    )
    yield _gauge(
        "ctserver_calls_day",
        "Calls of the last 24 hours",
        "outcome",
        {"answered": 0, "missed": 0, **counts["calls_day"]},
    )
    yield _gauge(
        "ctserver_open_calls", "Calls that go on", "state", {"ringing": 0, "talking": 0, **counts["open_calls"]}
    )
    yield _gauge(
        "ctserver_pool_numbers", "Numbers of a pool", "pool", {name: len(pool.numbers) for name, pool in pools.items()}
    )
    yield _gauge(
        "ctserver_pool_held",
        "Numbers that visitors hold",
        "pool",
        {name: counts["held"].get(name, 0) for name in pools},
    )
    yield _gauge("ctserver_outbox", "Deliveries", "state", {"waiting": 0, "failed": 0, **counts["outbox"]})


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _is_near(request: web.Request, deps: Deps) -> bool:
    """An address that may read without a token. What came through a proxy that is not trusted may come from anywhere."""
    trusted = deps.settings.server.trust_proxy
    if not trusted and ("X-Forwarded-For" in request.headers or "Forwarded" in request.headers):
        return False
    try:
        address = ip_address(client_ip(request, trusted))
    except ValueError:
        return False
    return any(address in ip_network(network) for network in deps.settings.api.metrics_from)
