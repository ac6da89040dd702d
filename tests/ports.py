"""Ports that nobody else is given while a test needs them."""

from __future__ import annotations

import itertools
import os
import random
import socket
from contextlib import closing

# Below those that the system gives to outgoing connections and to whoever asks for any: these may be taken between the moment
# that a test chooses one and the moment that its server listens, or while the server is being started again.
_FIRST, _EACH, _WORKERS = 12_000, 800, 10
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_turn = itertools.count(random.randrange(_EACH))


def free_port() -> int:
    """A port of 127.0.0.1 where nothing listens, neither TCP nor UDP; each worker has its own, and gives them in turn."""
    for turn in itertools.islice(_turn, _EACH):
        port = _FIRST + _worker * _EACH + turn % _EACH
        if all(_is_free(port, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            return port
    raise AssertionError("no port is free")


def _is_free(port: int, kind: int) -> bool:
    with closing(socket.socket(socket.AF_INET, kind)) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
