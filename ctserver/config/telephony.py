"""The PBXes and recordings."""

from __future__ import annotations

from pydantic import Field

from ctserver.config.lines import Name
from ctserver.config.types import Address, Identifier, OneLine, Reference, Table


class Asterisk(Table):
    id: Identifier = "pbx"
    ami: Address = "127.0.0.1:5038"
    ami_user: OneLine = "ctserver"
    ami_secret_file: str = ""
    inbound_contexts: list[OneLine] = ["ct-inbound"]
    spool: str = ""


class Recordings(Table):
    folder: OneLine = "var/recordings"
    min_free_mb: int = Field(default=500, ge=0)


class Calls(Table):
    default_line: Reference = ""
    outgoing_context: Name = ""
