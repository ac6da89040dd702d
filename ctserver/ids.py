"""Time-ordered text ids and secrets: the only source of randomness."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # for passwords: nothing that looks like something else
_RANDOM_CHARACTERS = 16  # 64 bits in hexadecimal
_BLOCK = 512  # ids; asking the system for each one costs more than the id


LAST = "~"
"""Sorts after every id."""


def now_ms() -> int:
    """The wall clock, epoch milliseconds. Called by the composition root and the edges; the core is given `now`."""
    return time.time_ns() // 1_000_000


def new(now: int) -> str:
    """A 26-character id that sorts by time: epoch milliseconds in base 32 (0-9, a-v), then 64 random bits."""
    return _time(now) + _random()


def steady(at: int, key: str) -> str:
    """An id as `new` makes them, the same for the same time and key whenever it is asked for."""
    return _time(at) + hashlib.sha256(key.encode()).hexdigest()[:_RANDOM_CHARACTERS]


def first(now: int) -> str:
    """The beginning of every id of this millisecond: ids made before sort before it."""
    return _time(now)


_ready: list[str] = []
os.register_at_fork(after_in_child=_ready.clear)


def _random() -> str:
    """64 random bits, each given out once."""
    while True:
        try:
            return _ready.pop()
        except IndexError:
            block = os.urandom(_BLOCK * _RANDOM_CHARACTERS // 2).hex()
            _ready.extend([block[at : at + _RANDOM_CHARACTERS] for at in range(0, len(block), _RANDOM_CHARACTERS)])


@lru_cache(64)
def _time(now: int) -> str:
    """The first ten characters: two zero bits, then 48 bits of time."""
    return base64.b32hexencode((now & (1 << 48) - 1).to_bytes(10, "big")).decode("ascii").lower()[6:]


def token() -> str:
    """256 random bits as URL-safe text, for cookies and one-time secrets."""
    return secrets.token_urlsafe(32)


def token_of(key: str, name: str) -> str:
    """A token as `token` makes them, the same for the same key and name: who does not know the key cannot tell it."""
    made = hmac.digest(key.encode(), name.encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode("ascii").rstrip("=")


def token_hash(token: str) -> str:
    """Under which the database knows a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def fraction() -> float:
    """A random number in [0, 1), for waits that should not fall together."""
    return secrets.randbelow(1 << 20) / (1 << 20)


def password() -> str:
    """A password that a person can read aloud: four groups of four characters, 80 bits."""
    groups = ["".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)]
    return "-".join(groups)


def totp_secret() -> str:
    """160 random bits in base 32, as applications for second factors want it (RFC 4226, section 4)."""
    return base64.b32encode(os.urandom(20)).decode("ascii")
