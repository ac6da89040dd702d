"""The PBXes, and what holds for all calls."""

from __future__ import annotations

from ctserver.config.lines import Name
from ctserver.config.types import Address, Identifier, OneLine, Reference, Table


class Asterisk(Table):
    id: Identifier = "pbx"
    ami: Address = "127.0.0.1:5038"
    ami_user: OneLine = "ctserver"
    ami_secret_file: str = ""
    inbound_contexts: list[OneLine] = ["ct-inbound"]
    spool: str = ""


class Calls(Table):
    default_line: Reference = ""
    outgoing_context: Name = ""
