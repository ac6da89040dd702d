"""What is wrong in the settings: each mistake with its place and its cure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, what is wrong, what to do."""

    key: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what} -> {self.hint}" if self.hint else f"{self.key}: {self.what}"


class ConfigError(Exception):
    """The settings cannot be used; `problems` holds every mistake found."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


def reason_of(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
