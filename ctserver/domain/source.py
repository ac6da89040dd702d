"""Landing URL + referrer -> Source, in the terms of Google Analytics 4. What is said first counts:

1. utm_source, utm_medium, utm_campaign. What they leave out is filled from an Openstat mark or a paid click id.
2. `_openstat`: the mark of Russian advertising systems, "service;campaign;advertisement;place".
3. The click id of an advertisement (gclid, yclid, ...).
4. `from=` as a plain label of a link, on a visit that does not come from the site itself: medium "referral".
5. The referrer, by the table of known places (sources_table.py). A click id that free links carry too (fbclid, ysclid) speaks
   only where the referrer names no place.
6. Else direct.

Where the referrer tells what was searched for, that is the term, unless utm_term says another.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Collection
from functools import lru_cache

from ctserver.domain import sources_table
from ctserver.domain.model import DIRECT, Source

MAX_TEXT = 200
_MAX_QUERY = 4000
_MAX_HOST = 255
_MAX_OPENSTAT = 1000

# Click ids: the parameter, and what it says of the visit when no utm parameters say more. In order of weight.
CLICK_IDS: dict[str, tuple[str, str]] = {
    "gclid": ("google", "cpc"),
    "gbraid": ("google", "cpc"),
    "wbraid": ("google", "cpc"),
    "dclid": ("google", "display"),
    "yclid": ("yandex", "cpc"),
    "ymclid": ("yandex market", "cpc"),
    "msclkid": ("bing", "cpc"),
    "rb_clickid": ("vk", "cpc"),
    "ttclid": ("tiktok", "cpc"),
    "twclid": ("twitter", "cpc"),
    "fbclid": ("facebook", "social"),
    "ysclid": ("yandex", "organic"),
}
_UNPAID = frozenset({"fbclid", "ysclid"})  # put on every link that leaves the place, paid for or not

# Kept with the click ids, but no witness of a source: Roistat's own marker, and the Openstat mark as it came.
_KEPT = (*CLICK_IDS, "roistat", "_openstat")

_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_WANTED = frozenset((*_UTM, *_KEPT, "from", "to"))
_QUOTED = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LABEL = re.compile(r"(?=.{2,40}\Z)[^\W\d_][\w.-]*(?: [\w.-]+)*")  # avito, vk.com, 2 words; not a date, path or number

_SERVICES = {  # Openstat's service, as the systems write it
    "direct.yandex.ru": "yandex",
    "market.yandex.ru": "yandex market",
    "adwords.google.com": "google",
    "google.adwords": "google",
    "begun.ru": "begun",
    "target.mail.ru": "mytarget",
    "target.my.com": "mytarget",
}


def classify(landing_url: str, referrer: str, own_domains: Collection[str] = ()) -> Source:
    """The source of a visit that lands on `landing_url` from `referrer`. Total: any text is fine.

    Texts are cut at 200 characters; the own domains count with everything below them.
    """
    domains = tuple(own_domains)
    query = _query(landing_url)
    if not query:
        return _from_referrer(referrer, domains)
    clicks = {name: query[name] for name in _KEPT if name in query}
    if "utm_source" in query or "utm_medium" in query or "utm_campaign" in query:
        return _from_utm(query, clicks, referrer)
    paid = _paid(query, clicks)
    if paid:
        source, medium, campaign, content = paid
        return Source(medium, source, campaign, query.get("utm_term") or _keyword(referrer), content, clicks)
    label = "" if "to" in query else query.get("from", "")  # from=MOW&to=LED is a journey
    found = _from_label(label, referrer, domains) or _from_referrer(referrer, domains)
    if found.medium in ("(none)", "referral") and (unpaid := next((name for name in clicks if name in _UNPAID), "")):
        source, medium = CLICK_IDS[unpaid]
        return Source(medium, source, click_ids=clicks)
    if not clicks:
        return found
    return Source(found.medium, found.source, found.campaign, found.term, found.content, clicks)


def is_own(host: str, own_domains: Collection[str]) -> bool:
    """Is `host` one of these domains or below one?"""
    return host in own_domains or any(host.endswith("." + domain) for domain in own_domains)


@lru_cache(4096)
def host_of(url: str) -> str:
    """The host name of a URL in lower case, "" if it has none."""
    return _split(url)[1]


def _from_utm(query: dict[str, str], clicks: dict[str, str], referrer: str) -> Source:
    source, medium, campaign = query.get("utm_source"), query.get("utm_medium"), query.get("utm_campaign")
    content = query.get("utm_content", "")
    if clicks and not (source and medium) and (paid := _paid(query, clicks)):
        source, medium = source or paid[0], medium or paid[1]
        campaign, content = campaign or paid[2], content or paid[3]
    return Source(
        medium=(medium or "(not set)").lower(),
        source=(source or "(not set)").lower(),
        campaign=campaign or "",
        term=query.get("utm_term") or _keyword(referrer),
        content=content,
        click_ids=clicks,
    )


def _paid(query: dict[str, str], clicks: dict[str, str]) -> tuple[str, str, str, str] | None:
    """Source, medium, campaign and content by the Openstat mark, else by the click id of an advertisement."""
    if "_openstat" in query and (mark := _openstat(query["_openstat"])):
        return mark
    for name in clicks:
        if name in CLICK_IDS and name not in _UNPAID:
            source, medium = CLICK_IDS[name]
            return source, medium, "", ""
    return None


def _openstat(text: str) -> tuple[str, str, str, str] | None:
    """Openstat mark 1.0: four parts, plain or in base64 (also the URL's alphabet, also without padding)."""
    plain = text
    if ";" not in text:
        body = text.replace("-", "+").replace("_", "/").replace(" ", "+").rstrip("=")
        try:
            plain = _decoded(b64decode(body + "=" * (-len(body) % 4), validate=True))
        except ValueError:
            return None
    parts = [part.strip()[:MAX_TEXT] for part in plain.split(";")]
    if len(parts) != 4 or not parts[0] or not parts[0].isprintable():
        return None
    service = parts[0].lower()
    return _SERVICES.get(service, service), "cpc", parts[1], parts[2]


def _from_label(label: str, referrer: str, own_domains: Collection[str]) -> Source | None:
    """`from=`: sites also use it for their own ends, so it must look like a name and come from outside."""
    if not label or not _LABEL.fullmatch(label):
        return None
    host = host_of(referrer)
    if host and is_own(host, own_domains):
        return None
    name = label.lower()
    known = sources_table.place(name) if "." in name else None
    return Source("referral", known.source if known else name, term=_keyword(referrer))


@lru_cache(1024)
def _from_referrer(referrer: str, own_domains: tuple[str, ...]) -> Source:
    if not referrer:
        return DIRECT
    scheme, host, path, query = _split(referrer)
    if not host or is_own(host, own_domains):
        return DIRECT
    known = sources_table.app(host) if scheme == "android-app" else sources_table.place(host, path)
    if known is None:
        return Source("referral", host.removeprefix("www."))
    return Source(known.medium, known.source, term=_searched(query, known.keys) if query else "")


def _keyword(referrer: str) -> str:
    """What was searched for, where the referrer is a search engine or a map and tells it."""
    if "?" not in referrer:
        return ""
    _, host, path, query = _split(referrer)
    known = sources_table.place(host, path)
    return _searched(query, known.keys) if known else ""


def _searched(query: str, keys: tuple[str, ...]) -> str:
    if not keys:
        return ""
    found = _pairs(query, frozenset(keys))
    return next((found[key] for key in keys if key in found), "")


def _split(url: str) -> tuple[str, str, str, str]:
    """Scheme, host, path and query. The host is in lower case, without user, port, brackets and last dot."""
    scheme, slashes, rest = url.strip().partition("//")
    if not slashes or (scheme not in ("https:", "http:", "") and not _SCHEME.fullmatch(scheme)):
        return "", "", "", ""
    rest, _, _ = rest.partition("#")
    rest, _, query = rest.partition("?")
    host, slash, path = rest.replace("\\", "/").partition("/")
    host = host.rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return scheme[:-1].lower(), host.lower().rstrip(".")[:_MAX_HOST], slash + path, query[:_MAX_QUERY]


def _query(url: str) -> dict[str, str]:
    """The parameters we ask for, also those written behind a "#" where the page has its own routes there."""
    if "=" not in url:
        return {}
    before, mark, fragment = url.partition("#")
    query = before.partition("?")[2]
    found = _pairs(query[:_MAX_QUERY], _WANTED) if "=" in query else {}
    if mark and not found and "=" in fragment:
        found = _pairs((fragment.partition("?")[2] or fragment)[:_MAX_QUERY], _WANTED)
    return found


def _pairs(query: str, wanted: frozenset[str]) -> dict[str, str]:
    """The wanted parameters that have a value; the first of a name counts."""
    found: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name not in wanted:
            name = name.lower()
            if name not in wanted:
                continue
        if name in found or not value:
            continue
        if "%" in value:
            value = _decoded(_unquoted(value.replace("+", " ")))
        elif "+" in value:
            value = value.replace("+", " ")
        if value := value.strip()[: _MAX_OPENSTAT if name == "_openstat" else MAX_TEXT]:
            found[name] = value
    return found


def _unquoted(value: str) -> bytes:
    """Percent signs resolved, a whole run at a time: some times faster than the library on Cyrillic."""
    return _QUOTED.sub(lambda run: bytes.fromhex(run[0].replace(b"%", b"").decode()), value.encode("utf-8", "replace"))


def _decoded(octets: bytes) -> str:
    """UTF-8, also when a long URL was cut within a letter, or the Windows-1251 of older Russian systems. Never a zero
    byte, which no database text can hold."""
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data"
        text = octets[: error.start].decode() if cut else octets.decode("cp1251", "replace")
    return text.replace("\x00", "")
