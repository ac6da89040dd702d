"""The routes that agi-scripts/ct_route.py reads while ctserver cannot answer."""

from __future__ import annotations

from collections.abc import Mapping

from ctserver.storage.db import Transaction


def replace_all(tx: Transaction, routes: Mapping[str, str]) -> None:
    """Digits -> encoded route; the key "" is the route of numbers that nobody listed."""
    tx.execute("DELETE FROM routes")
    for digits, route in routes.items():
        tx.execute("INSERT INTO routes (digits, route) VALUES ($1, $2)", (digits, route))
