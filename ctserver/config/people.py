"""People who log in, and programs that ask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ctserver.config.types import Reference, Table, network


class People(Table):
    login_days: int = Field(default=14, ge=1, le=365)
    link_days: int = Field(default=7, ge=1, le=90)
    reset_minutes: int = Field(default=60, ge=5, le=1440)
    mail: Reference = ""
    second_factor: list[Literal["owner", "manager", "operator", "analyst", "client"]] = []


class Api(Table):
    per_minute: int = Field(default=600, ge=0)
    origins: list[Annotated[str, Field(pattern=r"^https?://[^/\s*]+$")]] = []
    metrics_from: list[Annotated[str, AfterValidator(network)]] = ["127.0.0.1/32", "::1/128"]
