"""How far the notes that each PBX keeps of ended calls have been read."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.storage.db import Database, Transaction


@dataclass(frozen=True, slots=True)
class Position:
    """Up to which byte a file has been read. `inode` tells a file from another one of the same name."""

    inode: str
    read_to: int


async def positions(db: Database, pbx: str) -> dict[str, Position]:
    """By file name."""
    rows = await db.fetch("SELECT file, inode, read_to FROM evidence WHERE pbx = $1", (pbx,))
    return {row["file"]: Position(row["inode"], row["read_to"]) for row in rows}


def reached(tx: Transaction, pbx: str, file: str, position: Position) -> None:
    """Everything before this position is in the journal."""
    tx.execute(
        """
        INSERT INTO evidence (pbx, file, inode, read_to) VALUES ($1, $2, $3, $4)
        ON CONFLICT (pbx, file) DO UPDATE SET inode = $3, read_to = $4
        """,
        (pbx, file, position.inode, position.read_to),
    )


def forget(tx: Transaction, pbx: str, file: str) -> None:
    """The file is gone."""
    tx.execute("DELETE FROM evidence WHERE pbx = $1 AND file = $2", (pbx, file))
