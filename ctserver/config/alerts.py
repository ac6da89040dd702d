"""Alerts: which fact is told to whom, by which channel, and when."""

from __future__ import annotations

from typing import Annotated, Literal

from opening_hours import validate
from pydantic import AfterValidator, Field

from ctserver.config.types import Identifier, OneLine, Patterns, Reference, Table
from ctserver.domain.alert import OCCASIONS

CALLER = "caller"  # in `to`: the one who rang


def _occasion(value: str) -> str:
    if value not in OCCASIONS:
        raise ValueError(f"{value!r} is none of: {', '.join(OCCASIONS)}")
    return value


def _hours(value: str) -> str:
    if value and not validate(value):
        raise ValueError(f"{value!r} are no hours; write them like '22:00-08:00; Su 00:00-24:00'")
    return value


class Alert(Table):
    """See docs/alerts.md. A rule with an empty `on` is only reached by the `then` of another."""

    on: list[Annotated[str, AfterValidator(_occasion)]] = []
    by: Identifier
    to: list[OneLine] = []
    sites: Patterns = []
    lines: Patterns = []
    sources: Patterns = []
    after_seconds: int = Field(default=0, ge=0, le=86_400)
    unless_reached: bool = True
    wait_seconds: int = Field(default=60, ge=1)
    group_minutes: int = Field(default=0, ge=0, le=1440)
    quiet: Annotated[str, AfterValidator(_hours)] = ""
    fresh_minutes: int = Field(default=1440, ge=1)
    then: Reference = ""
    then_minutes: int = Field(default=10, ge=1, le=1440)
    consent: Literal["none", "call", "file"] = "none"
    consent_file: str = ""
    once_hours: int = Field(default=24, ge=1)
    recording: Literal["page", "link", "attach"] = "page"
    language: Literal["", "en", "ru"] = ""
    sms_parts: int = Field(default=0, ge=0, le=10)
    subject: str = ""
    text: str = ""
    short: str = ""
