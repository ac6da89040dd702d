"""Mistakes of shape, as pydantic finds them, in words for the one who wrote the file."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from ctserver.config.notify import ChannelTable
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
    where = _without_kind(location)
    key = ".".join(str(part) for part in where)
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return _kind_problem(key, error)
    if error["type"] == "extra_forbidden":
        valid = _valid_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys here: {', '.join(valid)}"
        return Problem(key, "unknown key", hint)
    what = _WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    shown = error.get("input")
    if isinstance(shown, str | int | bool) and error["type"] != "missing" and repr(shown) not in what:
        what = f"{what}, not {str(shown)[:80]!r}"
    return Problem(key, what, _hint(error, where))


def _without_kind(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """pydantic puts the value of `type` into the place of a mistake; in the file there is no such step."""
    return (*location[:2], *location[3:]) if location[:1] == ("notify",) else location


def _kind_problem(key: str, error: Any) -> Problem:
    kinds = error.get("ctx", {}).get("expected_tags") or ", ".join(repr(kind) for kind in _kinds(ChannelTable))
    if error["type"] == "union_tag_not_found":
        return Problem(f"{key}.type", "is missing", f"say what kind of channel it is: {kinds}")
    return Problem(f"{key}.type", f"there is no such kind as {error['ctx']['tag'][:40]!r}", f"the kinds are {kinds}")


def _kinds(union: Any) -> dict[str, type[BaseModel]]:
    """The models of a union by the value of their `type`; none for what is no such union."""
    union = get_args(union)[0] if get_origin(union) is Annotated else union
    models = [part for part in get_args(union) if isinstance(part, type) and issubclass(part, BaseModel)]
    return {
        get_args(model.model_fields["type"].annotation)[0]: model for model in models if "type" in model.model_fields
    }


def _hint(error: Any, location: tuple[int | str, ...]) -> str:
    name = str(location[-1]) if location else ""
    if error["type"] == "missing":
        table = ".".join(str(part) for part in location[:-1])
        return f"add {name} to [{table}]" if table else f"add a table [{name}.NAME]"
    if name in ("listen", "ami"):
        return 'write it like "127.0.0.1:8080"'
    if name == "number" or "numbers" in location:
        return 'write it with its country code, like "+44 20 7946 0101"'
    if "pattern" in error["type"] and name in ("public_url", "url"):
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
        elif kinds := _kinds(model):
            model = kinds.get(str(part))
        elif get_args(model):
            model = get_args(model)[-1]
    if get_args(model):
        model = get_args(model)[-1]
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [name for name in model.model_fields if name != "base"]
