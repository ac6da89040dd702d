"""The server itself: where it listens, keeps its data and writes its log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ctserver.config.types import Address, AddressOrNone, Table, country_code, currency_code, zone_name


class Server(Table):
    listen: Address = "127.0.0.1:8080"
    public_url: str = Field(default="http://127.0.0.1:8080", pattern=r"^https?://[^/\s]+$")
    country: Annotated[str, AfterValidator(country_code)] = "GB"
    language: Literal["en", "ru"] = "en"
    currency: Annotated[str, AfterValidator(currency_code)] = ""
    time_zone: Annotated[str, AfterValidator(zone_name)] = ""
    demo: bool = False
    trust_proxy: bool = False


class Visitors(Table):
    """The address of their own for what the pages of sites ask; "": that of the dashboard."""

    listen: AddressOrNone = ""
    url: str = Field(default="", pattern=r"^(https?://[^/\s]+)?$")
    processes: int = Field(default=1, ge=1, le=16)


class DatabaseFile(Table):
    path: str = "var/ctserver.db"


class Fastagi(Table):
    listen: Address = "127.0.0.1:4573"


class Log(Table):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Limits(Table):
    new_visitors_per_minute: int = Field(default=60, ge=0)
    visits_per_site_per_minute: int = Field(default=30_000, ge=0)


class Privacy(Table):
    ip: Literal["truncate", "drop", "keep"] = "truncate"


class Geo(Table):
    file: str = ""
