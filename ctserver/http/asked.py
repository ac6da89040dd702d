"""What a visitor's page asks and what it is answered, whichever way it came: by the front's door or by the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from multidict import CIMultiDictProxy, MultiMapping

MAX_BODY = 64 * 1024


class Asked(NamedTuple):
    """`remote` is the address at the other end of the connection, "" if there is none."""

    headers: CIMultiDictProxy[str]
    remote: str
    query: MultiMapping[str]
    body: bytes


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


NOT_NOW = Answer(503, {"Content-Type": "text/plain; charset=utf-8", "Access-Control-Allow-Origin": "*"}, b"not now\n")
"""While nothing can be written: the page keeps its own number."""
