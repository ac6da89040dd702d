"""Calls that ctserver places: callbacks that visitors ask for, and calls from the dashboard."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ctserver.config.lines import Sound
from ctserver.config.types import Identifier, OneLine, Table, country_code


def _dial(value: str) -> str:
    if value and value.count("{number}") != 1:
        raise ValueError("{number} must stand in it once")
    if set(value.replace("{number}", "")) & set("{}&,"):
        raise ValueError("it rings one number: no &, no comma")
    return value


class Callbacks(Table):
    """Without `dial` there are none."""

    dial: Annotated[OneLine, AfterValidator(_dial)] = ""
    caller_id: Annotated[str, Field(pattern=r"^(\+?[0-9]{3,20})?$")] = ""
    sites: list[Identifier] = []
    countries: list[Annotated[str, AfterValidator(country_code)]] = []
    ring_seconds: int = Field(default=35, ge=5, le=120)
    announcement: Sound = ""
    accept_key: Annotated[str, Field(pattern=r"^[0-9*]?$")] = ""
    company_attempts: int = Field(default=3, ge=1, le=10)
    visitor_attempts: int = Field(default=2, ge=1, le=5)
    retry_minutes: int = Field(default=5, ge=1, le=240)
    at_once: int = Field(default=2, ge=1, le=50)
    per_number_a_day: int = Field(default=3, ge=1)
    per_address_an_hour: int = Field(default=5, ge=1)
    per_site_an_hour: int = Field(default=60, ge=1)
