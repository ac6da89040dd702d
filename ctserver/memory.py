"""What a process that runs long asks of memory: of the C library's, and of the interpreter's."""

from __future__ import annotations

import contextlib
import ctypes
import gc

ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h
YOUNG = 50_000  # objects made between two looks for garbage
HEAPS = 2  # one for the event loop, one for the threads of the database, which wait for the disk or for each other


def few_heaps() -> None:
    """Before threads are started: by itself glibc gives each thread a heap of its own, and each keeps what a long report left.
    Other C libraries know no such thing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(ARENA_MAX, HEAPS)


def started() -> None:
    """What lives as long as the process is not looked through again and again while somebody waits, and what is new seldom:
    most of what a request makes is gone before anybody looks for it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
