"""Mistakes of shape, as pydantic finds them, in words for the one who wrote the file."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel

from ctserver.config.problems import Problem
from ctserver.config.settings import Settings

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def explain(error: Any) -> Problem:
    location: tuple[int | str, ...] = tuple(part for part in error["loc"] if part != "[key]")
    key = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        valid = _valid_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys here: {', '.join(valid)}"
        return Problem(key, "unknown key", hint)
    what = _WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    shown = error.get("input")
    if isinstance(shown, str | int | bool) and error["type"] != "missing" and repr(shown) not in what:
        what = f"{what}, not {str(shown)[:80]!r}"
    return Problem(key, what, _hint(error, location))


def _hint(error: Any, location: tuple[int | str, ...]) -> str:
    name = str(location[-1]) if location else ""
    if error["type"] == "missing":
        table = ".".join(str(part) for part in location[:-1])
        return f"add {name} to [{table}]" if table else f"add a table [{name}.NAME]"
    if name in ("listen", "ami"):
        return 'write it like "127.0.0.1:8080"'
    if name == "number" or "numbers" in location:
        return 'write it with its country code, like "+44 20 7946 0101"'
    if "pattern" in error["type"] and name == "public_url":
        return 'write it like "https://calls.example.com", without a path'
    if "pattern" in error["type"]:
        return "use lower-case letters, digits, - and _"
    if name == "country":
        return 'write it like "GB"'
    return "see the comment beside this key in the shipped ctserver.toml"


def _valid_keys(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        elif get_args(model):
            model = get_args(model)[-1]
    if get_args(model):
        model = get_args(model)[-1]
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [name for name in model.model_fields if name != "base"]
