"""Web hooks: facts to programs of others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ctserver.config.types import Patterns, Table
from ctserver.domain.fact import CALL_FIELDS, CALL_KINDS, EXTRA_FIELDS

EVENTS = (*CALL_KINDS, "pool_short", "pbx_unreachable", "recording_failing", "disk", "delivery_failing")
FIELDS = (*CALL_FIELDS, *EXTRA_FIELDS)
RETRY_SECONDS = [5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0]  # Standard Webhooks


def _event(value: str) -> str:
    if value not in EVENTS:
        raise ValueError(f"{value!r} is none of the events: {', '.join(EVENTS)}")
    return value


def _field(value: str) -> str:
    if value not in FIELDS:
        raise ValueError(f"{value!r} is none of the fields: {', '.join(FIELDS)}")
    return value


class WebHook(Table):
    """Where to, which facts, in which form. Its secrets come from a file or the environment."""

    url: str = Field(pattern=r"^https?://[^\s]+$", max_length=2000)
    secret_file: str = ""
    events: list[Annotated[str, AfterValidator(_event)]] = [*CALL_KINDS]
    fields: list[Annotated[str, AfterValidator(_field)]] = []
    sites: Patterns = []
    lines: Patterns = []
    format: Literal["standard", "cloudevents"] = "standard"
    allow_private: bool = False
    timeout_seconds: int = Field(default=20, ge=1, le=60)
    at_once: int = Field(default=8, ge=1, le=64)
    per_minute: int = Field(default=0, ge=0)
    retry_seconds: list[Annotated[float, Field(gt=0, le=604_800)]] = RETRY_SECONDS
