"""What everything that leaves ctserver obeys."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ctserver.config.types import Table, network


class Outbound(Table):
    private_networks: list[Annotated[str, AfterValidator(network)]] = []
    timeout_seconds: int = Field(default=20, ge=1, le=120)
