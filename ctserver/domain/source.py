"""Landing URL + referrer -> Source, as Google Analytics 4 reads them: utm parameters first, then click ids, then the
referrer, else direct."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ctserver.domain.model import DIRECT, Source

MAX_TEXT = 200

# Click ids: the parameter, and what it says of the visit when no utm parameters say more.
CLICK_IDS: dict[str, tuple[str, str]] = {
    "gclid": ("google", "cpc"),
    "gbraid": ("google", "cpc"),
    "wbraid": ("google", "cpc"),
    "yclid": ("yandex", "cpc"),
    "ymclid": ("yandex market", "cpc"),
    "fbclid": ("facebook", "social"),
    "msclkid": ("bing", "cpc"),
}

_SEARCH = {
    "google": "google",
    "bing": "bing",
    "yandex": "yandex",
    "ya": "yandex",
    "duckduckgo": "duckduckgo",
    "yahoo": "yahoo",
    "ecosia": "ecosia",
    "baidu": "baidu",
    "rambler": "rambler",
}
_SEARCH_HOSTS = {"go.mail.ru": "mail.ru", "search.brave.com": "brave", "nova.rambler.ru": "rambler"}
_SOCIAL = {
    "facebook.com": "facebook",
    "instagram.com": "instagram",
    "linkedin.com": "linkedin",
    "lnkd.in": "linkedin",
    "pinterest.com": "pinterest",
    "reddit.com": "reddit",
    "t.co": "twitter",
    "x.com": "twitter",
    "twitter.com": "twitter",
    "tiktok.com": "tiktok",
    "youtube.com": "youtube",
    "vk.com": "vk",
    "vk.ru": "vk",
    "ok.ru": "ok",
    "dzen.ru": "dzen",
    "t.me": "telegram",
    "telegram.org": "telegram",
}


def classify(landing_url: str, referrer: str, own_domains: Collection[str] = ()) -> Source:
    """The source of a visit that lands on `landing_url` from `referrer`. Total: any text is fine."""
    query = _query(landing_url)
    clicks = {name: query[name] for name in CLICK_IDS if query.get(name)}
    if query.get("utm_source") or query.get("utm_medium") or query.get("utm_campaign"):
        return Source(
            medium=(query.get("utm_medium") or "(not set)").lower(),
            source=(query.get("utm_source") or "(not set)").lower(),
            campaign=query.get("utm_campaign", ""),
            term=query.get("utm_term", ""),
            content=query.get("utm_content", ""),
            click_ids=clicks,
        )
    for name in clicks:
        source, medium = CLICK_IDS[name]
        return Source(medium=medium, source=source, click_ids=clicks)
    return _from_referrer(_host(referrer), own_domains)


def is_own(host: str, own_domains: Collection[str]) -> bool:
    """Is `host` one of these domains or below one?"""
    return any(host == domain or host.endswith("." + domain) for domain in own_domains)


def host_of(url: str) -> str:
    """The host name of a URL in lower case, "" if it has none."""
    return _host(url)


def _from_referrer(host: str, own_domains: Collection[str]) -> Source:
    if not host or is_own(host, own_domains):
        return DIRECT
    name = host.removeprefix("www.")
    if engine := _SEARCH_HOSTS.get(name) or _engine(name):
        return Source(medium="organic", source=engine)
    for domain, network in _SOCIAL.items():
        if is_own(name, (domain,)):
            return Source(medium="social", source=network)
    return Source(medium="referral", source=name)


def _engine(host: str) -> str:
    labels = host.split(".")
    for position in (0, 1):  # google.co.uk, yandex.ru, search.yahoo.com
        if len(labels) > position + 1 and labels[position] in _SEARCH and labels[0] not in ("mail", "docs", "maps"):
            return _SEARCH[labels[position]]
    return ""


def _query(url: str) -> dict[str, str]:
    parsed = _split(url)
    pairs = parse_qsl(parsed.query[:4000], keep_blank_values=False) if parsed and parsed.query else []
    return {name.lower(): value.strip()[:MAX_TEXT] for name, value in reversed(pairs)}


def _host(url: str) -> str:
    parsed = _split(url)
    try:
        return (parsed.hostname or "") if parsed else ""
    except ValueError:
        return ""


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
