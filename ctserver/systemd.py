"""Tells systemd how we are (Type=notify, WatchdogSec=): one datagram to $NOTIFY_SOCKET. Does nothing elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(state: str) -> None:
    """`READY=1`, `WATCHDOG=1`, `STOPPING=1`."""
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
