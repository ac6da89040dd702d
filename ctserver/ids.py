"""Time-ordered text ids and secrets: the only source of randomness."""

from __future__ import annotations

import os
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case


def now_ms() -> int:
    """The wall clock, epoch milliseconds. Called by the composition root and the edges; the core is given `now`."""
    return time.time_ns() // 1_000_000


def new(now: int) -> str:
    """A 26-character id that sorts by time: 48 bits of epoch milliseconds, then 80 random bits (the ULID layout)."""
    value = (now << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join([_ALPHABET[(value >> shift) & 31] for shift in range(125, -5, -5)])


def token() -> str:
    """256 random bits as URL-safe text, for cookies and one-time secrets."""
    return secrets.token_urlsafe(32)


def password() -> str:
    """A password that a person can read aloud: four groups of four characters, 80 bits."""
    groups = ["".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)]
    return "-".join(groups)
