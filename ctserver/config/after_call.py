"""What whoever answered may say of a call by a key, once the caller has hung up."""

from __future__ import annotations

from pydantic import Field

from ctserver.config.lines import Key, Sound
from ctserver.config.types import OneLine, Table


class AfterCall(Table):
    """See docs/lines.md. Without keys nobody is asked."""

    keys: dict[Key, OneLine] = {}
    sound: Sound = ""
    seconds: int = Field(default=6, ge=2, le=15)
