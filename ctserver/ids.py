"""Time-ordered text ids and secrets: the only source of randomness."""

from __future__ import annotations

import os
import secrets
import time
from collections import deque

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def now_ms() -> int:
    """The wall clock, epoch milliseconds. Called by the composition root and the edges; the core is given `now`."""
    return time.time_ns() // 1_000_000


def new(now: int) -> str:
    """A 26-character id that sorts by time: 48 bits of epoch milliseconds, then 80 random bits (the ULID layout)."""
    value = (now << 80) | _random()
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -10, -10)])


_RANDOM_BYTES = 10
_ready: deque[int] = deque()  # asking the system for each id costs more than the id
os.register_at_fork(after_in_child=_ready.clear)


def _random() -> int:
    """80 random bits, each given out once."""
    while True:
        try:
            return _ready.pop()
        except IndexError:
            block = os.urandom(_RANDOM_BYTES * 256)
            parts = (block[at : at + _RANDOM_BYTES] for at in range(0, len(block), _RANDOM_BYTES))
            _ready.extend([int.from_bytes(part, "big") for part in parts])


def token() -> str:
    """256 random bits as URL-safe text, for cookies and one-time secrets."""
    return secrets.token_urlsafe(32)


def password() -> str:
    """A password that a person can read aloud: four groups of four characters, 80 bits."""
    groups = ["".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)]
    return "-".join(groups)
