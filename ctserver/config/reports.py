"""Which calls reports count as target calls."""

from __future__ import annotations

from pydantic import Field

from ctserver.config.types import Table


class TargetCall(Table):
    """Every condition must hold."""

    answered: bool = True
    seconds: int = Field(default=30, ge=0, le=3600)
    first_in_days: int = Field(default=0, ge=0, le=3650)
