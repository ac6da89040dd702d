"""How often somebody may ask: token buckets with bounded memory.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm), so a bucket that is full
need not be remembered. All is whole numbers, in units of one millisecond divided by the rate: nothing is rounded.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address

from ctserver.domain.clock import MINUTE_MS


class Limiter:
    """`burst` requests at once, then `per_minute`. `per_minute` 0: no limit.

    At most `max_keys` buckets are remembered; when more keys are busy at once, the one longest unused is forgotten, and
    starts anew with a full bucket.
    """

    def __init__(self, per_minute: int, burst: int, max_keys: int = 100_000) -> None:
        self._rate = max(per_minute, 0)
        self._depth = max(burst, 1) * MINUTE_MS
        self._max_keys = max(max_keys, 1)
        self._full_at: OrderedDict[str, int] = OrderedDict()  # least recently served first

    def allow(self, key: str, now_ms: int) -> bool:
        """May this key be served now? Being allowed takes a token. IPv6 addresses of one /64 network are one key. O(1)."""
        if not self._rate:
            return True
        key, now = bucket_of(key), now_ms * self._rate
        self._forget(now)
        full_at = self._full_at.get(key, now)
        if not self._busy(full_at, now):
            full_at = now
        if full_at - now + MINUTE_MS > self._depth:
            return False
        self._full_at[key] = full_at + MINUTE_MS
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._max_keys:
            self._full_at.popitem(last=False)
        return True

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: int) -> None:
        """Two looks for each request: what is full by now goes faster than anything can be added."""
        for _ in range(2):
            oldest = next(iter(self._full_at), None)
            if oldest is None or self._busy(self._full_at[oldest], now):
                return
            del self._full_at[oldest]

    def _busy(self, full_at: int, now: int) -> bool:
        """Is the bucket not yet full? One that would be full only after a whole filling comes from a clock since set back."""
        return now < full_at <= now + self._depth


@lru_cache(8192)
def bucket_of(key: str) -> str:
    """The key a request is counted under: an IPv6 address is its /64 network, all else is itself."""
    if ":" not in key:
        return key
    try:
        address = IPv6Address(key)
    except ValueError:
        return key
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
