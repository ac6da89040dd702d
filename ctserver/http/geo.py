"""Where a request comes from: the visitor's address behind proxies, the place it belongs to, and how much of it is kept.

Places come from an MMDB file that the operator points to (GeoLite2, DB-IP Lite, IPinfo and others); nothing is asked of
anybody else. Without a file, or with a broken one, every place is unknown and serving goes on. The file is read piece by
piece and not mapped into memory: one that is overwritten in place then gives wrong or no answers until the restart,
where a mapped one would end the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal

import maxminddb
from aiohttp import web

from ctserver.http.asked import Asked
from ctserver.recent import Recent

IpMode = Literal["truncate", "drop", "keep"]

_REMEMBERED = 10_000
_MAX_HOPS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """English names, "" when unknown; the country's ISO 3166-1 code where the file has no name.

    `code` is ISO 3166-2 ("RU-MOW") or, without a subdivision, ISO 3166-1 ("RU"); "" when unknown.
    """

    country: str = ""
    region: str = ""
    city: str = ""
    code: str = ""


NOWHERE = Place()


class Geo:
    """Places by address, from one file."""

    def __init__(self, path: Path | None) -> None:
        self._problem: str | None = None
        self._known: Recent[str, Place] = Recent(_REMEMBERED)
        self._reader = self._open(path) if path else None

    def problem(self) -> str | None:
        """Why places are unknown although a file is set, in words for the operator; None when all is well."""
        return self._problem

    def place(self, ip: str) -> Place:
        """The place of an address. Unknown, private and malformed addresses and read errors are NOWHERE."""
        if self._reader is None:
            return NOWHERE
        known = self._known.get(ip)
        if known is None:
            self._known.put(ip, known := self._look_up(ip))
        return known

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self, path: Path) -> maxminddb.Reader | None:
        try:
            return maxminddb.open_database(path, maxminddb.MODE_FILE)
        except FileNotFoundError:
            self._problem = f"{path}: no such file; visitors' places stay unknown"
        except OSError as error:
            self._problem = f"{path}: {error.strerror or error}; visitors' places stay unknown"
        except Exception as error:  # the file's contents decide what the reader raises
            self._problem = f"{path} is not an MMDB file ({error}); visitors' places stay unknown"
        return None

    def _look_up(self, ip: str) -> Place:
        address = _address(ip)
        if address is None or not address.is_global or self._reader is None:
            return NOWHERE
        try:
            return _place_of(self._reader.get(address))
        except Exception as error:  # a damaged file raises anything, and a page view must not fail for it
            self._problem = (
                f"the MMDB file is damaged ({error or type(error).__name__}); some visitors' places stay unknown"
            )
            return NOWHERE


def client_ip(request: web.BaseRequest | Asked, trust_proxy: bool) -> str:
    """The visitor's address, "" if there is none.

    Behind a trusted proxy it is read from X-Forwarded-For from the right, where the proxy writes; what stands further left is
    the visitor's own claim. Private addresses on the way are proxies of our own and are passed over, unless all are.
    """
    if not trust_proxy:
        return _plain(request.remote or "")
    peer = _address(request.remote or "")
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")[-_MAX_HOPS:]
    nearest = None
    for hop in reversed(hops):
        address = _address(_without_port(hop.strip()))
        if address is None:
            break
        if address.is_global:
            return str(address)
        nearest = nearest or address
    return str(nearest or peer or "")


@lru_cache(4096)
def truncate_ip(ip: str, mode: IpMode) -> str:
    """As much of an address as may be kept: "truncate" leaves the network (IPv4 /24, IPv6 /48), "drop" nothing, "keep" all."""
    address = _address(ip)
    if address is None or mode == "drop":
        return ""
    if mode == "keep":
        return str(address)
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False).network_address)


@lru_cache(4096)
def _plain(text: str) -> str:
    """An address as it is usually written, "" if it is none."""
    return str(_address(text) or "")


@lru_cache(4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _place_of(record: object) -> Place:
    """MaxMind's and DB-IP's nested records, and the flat ones of IPinfo and the ip-location-db project."""
    if not isinstance(record, Mapping):
        return NOWHERE
    country, city = record.get("country"), record.get("city")
    if country is None and "country_code" not in record:
        country = record.get("registered_country")
    parts = record.get("subdivisions")
    region = parts[0] if isinstance(parts, list) and parts else _first(record, "region", "state1", "region_name")
    country_code = _iso(country) or _first(record, "country_code")
    if not country_code and isinstance(country, str) and len(country) == 2:
        country_code = country
    region_code = _iso(region) or _first(record, "region_code")
    if region_code.startswith(country_code + "-"):
        region_code = region_code.partition("-")[2]
    return Place(
        country=_first(record, "country_name") or _name(country) or country_code,
        region=_name(region),
        city=_name(city),
        code=f"{country_code}-{region_code}" if country_code and region_code else country_code,
    )


def _name(part: object) -> str:
    """An English name, from {"names": {"en": ...}} or a plain text."""
    if isinstance(part, Mapping):
        names = part.get("names")
        part = names.get("en") if isinstance(names, Mapping) else part.get("name")
    return part[:100] if isinstance(part, str) else ""


def _iso(part: object) -> str:
    code: Any = part.get("iso_code") if isinstance(part, Mapping) else ""
    return code if isinstance(code, str) else ""


def _first(record: Mapping[Any, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := record.get(name), str) and value), "")
