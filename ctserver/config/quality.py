"""How calls are rated."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ctserver.config.types import OneLine, Table


class Quality(Table):
    criteria: Annotated[list[OneLine], Field(max_length=12)] = []
    long_minutes: int = Field(default=5, ge=1, le=240)
    short_seconds: int = Field(default=20, ge=1, le=600)
    share_days: int = Field(default=7, ge=1, le=90)
