"""For how long each kind of data is kept. 0: for ever."""

from __future__ import annotations

from pydantic import Field

from ctserver.config.types import Table

MOST = 36_500


class Retention(Table):
    """All in days; services/retention.py says what each kind is."""

    calls_days: int = Field(default=0, ge=0, le=MOST)
    recordings_days: int = Field(default=0, ge=0, le=MOST)
    visitors_days: int = Field(default=0, ge=0, le=MOST)
    addresses_days: int = Field(default=0, ge=0, le=MOST)
    callbacks_days: int = Field(default=0, ge=0, le=MOST)
    deliveries_days: int = Field(default=90, ge=0, le=MOST)
    audit_days: int = Field(default=730, ge=0, le=MOST)
