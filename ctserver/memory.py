"""What the process asks of the C library's memory."""

from __future__ import annotations

import contextlib
import ctypes

ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h
HEAPS = 2  # one for the event loop, one for the threads of the database, which wait for the disk or for each other


def few_heaps() -> None:
    """Before threads are started: by itself glibc gives each thread a heap of its own, and each keeps what a long report left.
    Other C libraries know no such thing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(ARENA_MAX, HEAPS)
