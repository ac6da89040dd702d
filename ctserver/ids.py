"""Time-ordered text ids and secrets: the only source of randomness."""

from __future__ import annotations

import base64
import os
import secrets
import textwrap
import time
from collections import deque
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # for passwords: nothing that looks like something else
_RANDOM_CHARACTERS = 16  # 80 bits in base 32
_BLOCK_BYTES = 10 * 256


def now_ms() -> int:
    """The wall clock, epoch milliseconds. Called by the composition root and the edges; the core is given `now`."""
    return time.time_ns() // 1_000_000


def new(now: int) -> str:
    """A 26-character id that sorts by time: 48 bits of epoch milliseconds, then 80 random bits, in base 32 (0-9, a-v)."""
    return _time(now) + _random()


_ready: deque[str] = deque()  # asking the system for each id costs more than the id
os.register_at_fork(after_in_child=_ready.clear)


def _random() -> str:
    """80 random bits, each given out once."""
    while True:
        try:
            return _ready.pop()
        except IndexError:
            block = _base32(os.urandom(_BLOCK_BYTES))
            _ready.extend(textwrap.wrap(block, _RANDOM_CHARACTERS))


@lru_cache(64)
def _time(now: int) -> str:
    """48 bits of time as the first ten characters: two zero bits, then the time."""
    return _base32((now & (1 << 48) - 1).to_bytes(10, "big"))[6:]


def _base32(data: bytes) -> str:
    return base64.b32hexencode(data).decode("ascii").lower()


def token() -> str:
    """256 random bits as URL-safe text, for cookies and one-time secrets."""
    return secrets.token_urlsafe(32)


def password() -> str:
    """A password that a person can read aloud: four groups of four characters, 80 bits."""
    groups = ["".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)]
    return "-".join(groups)
