"""A file that is handed out, whatever form it is kept in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PART = 65_536  # bytes read at a time


class Attachment:
    """A file as it lies on the disk. `path` is None where what lies there is not what is handed out."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.path: Path | None = path
        self._path = path

    @property
    def size(self) -> int:
        """Bytes. Raises OSError."""
        return self._path.stat().st_size

    def read(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` on, in parts. Raises OSError."""
        left = self.size - start if length is None else length
        with self._path.open("rb") as file:
            file.seek(start)
            while left > 0 and (part := file.read(min(PART, left))):
                left -= len(part)
                yield part
