"""Tells systemd how we are (Type=notify, WatchdogSec=): one datagram to $NOTIFY_SOCKET. Does nothing elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

START_SECONDS = 30  # more, asked for again and again while a start takes long


def notify(state: str) -> None:
    """`READY=1`, `WATCHDOG=1`, `STOPPING=1`, `EXTEND_TIMEOUT_USEC=...`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), address)


def watchdog_seconds() -> float:
    """How often to say WATCHDOG=1 (half of what systemd waits); 0 when it does not wait."""
    return int(os.environ.get("WATCHDOG_USEC", "0") or 0) / 2_000_000


@contextlib.asynccontextmanager
async def patience() -> AsyncIterator[None]:
    """Work that may take longer than TimeoutStartSec=; the event loop must go on meanwhile."""

    async def ask() -> None:
        while True:
            notify(f"EXTEND_TIMEOUT_USEC={START_SECONDS * 1_000_000}")
            await asyncio.sleep(START_SECONDS / 3)

    task = asyncio.create_task(ask(), name="patience")
    try:
        yield
    finally:
        task.cancel()
