"""The body of /ct.js: the hand-written script, made small, with one site's public settings put into it.

Pure text work, no I/O. The source keeps a few habits (told at the head of ct.js) that make `strip` safe by construction.
"""

import json
import re
from collections.abc import Mapping
from itertools import count, product
from string import ascii_letters
from typing import Any

TOKEN = "__CT_CONFIG__"

# What JSON allows in a string but a script must not carry raw: line ends of old JavaScript, and "<" for inline use.
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<\u2028\u2029"}
_KEYWORDS = {"do", "if", "in", "of", "as", "is", "ct"}


def strip(source: str) -> str:
    """Drop whole-line ``//`` comments, indentation and blanks around punctuation; shorten the names that begin with $.

    Nothing here parses JavaScript. It is safe because ct.js holds no blank inside a string or regular expression, lets
    nothing span lines but code, and uses $ only to begin a name of its own.
    """
    lines = (line.strip() for line in source.splitlines())
    code = "\n".join(line for line in lines if line and not line.startswith("//"))
    code = re.sub(r" *([-=+*?:{}()\[\]<>&|,;!]) *", r"\1", code)
    code = re.sub(r"(?<=[{,;(\[])\n|\n(?=[})\]])", "", code)
    return _shorten(code) + "\n"


def _shorten(code: str) -> str:
    """Names that begin with $ -> one or two letters, the most used first."""
    names = re.findall(r"\$[A-Za-z]\w*", code)
    ranked = sorted(set(names), key=lambda name: (-names.count(name), name))
    short = dict(zip(ranked, _short_names(), strict=False))
    return re.sub(r"\$[A-Za-z]\w*", lambda match: short[match[0]], code)


def _short_names():  # type: ignore[no-untyped-def]
    for length in count(1):
        yield from (name for name in map("".join, product(ascii_letters, repeat=length)) if name not in _KEYWORDS)


def _prefix_pattern(targets: list[Mapping[str, Any]]) -> str:
    """Country code with +, 00 or bare and perhaps (0), or the national prefix; ~ stands where the script puts its gap."""
    codes = "|".join(sorted({"~".join(target["c"]) for target in targets}))
    prefixes = "|".join(sorted({"~".join(target["p"]) for target in targets if target["p"]}))
    if not prefixes:
        return f"(?:((?:\\+|00)?~(?:{codes})~)|(-~))?"
    return f"(?:((?:(?:\\+|00)~)?(?:{codes})~(?:(?:{prefixes})~)?)|((?:{prefixes})~))?"


def _tracked(config: Mapping[str, Any]) -> dict[str, list[object]]:
    """National digits of every number the pages may show -> country code and the index of the target it stands for."""
    targets = config["t"]
    known: dict[str, list[object]] = {}
    for index, target in enumerate(targets):
        for number in [target["n"], *target.get("a", [])]:
            known.setdefault(number[1 + len(target["c"]) :], [target["c"], index])
    for number in config["a"]:
        code = next((target["c"] for target in targets if number.startswith("+" + target["c"])), "")
        known.setdefault(number[1 + len(code) :], [code, 0])
    return dict(sorted(known.items(), key=lambda item: -len(item[0])))


def build(config: Mapping[str, Any], source: str) -> str:
    """Source of ct.js -> the served body: stripped, with the config in place of the one ``__CT_CONFIG__`` token."""
    if source.count(TOKEN) != 1:
        raise ValueError(f"ct.js must hold {TOKEN} exactly once")
    targets = [
        {"mode": "now", "f": [target["n"], target["p"] + target["l"]]} | {k: v for k, v in target.items() if k != "a"}
        for target in config["t"]
    ]
    baked = json.dumps(
        {**config, "t": targets, "a": _tracked(config), "x": _prefix_pattern(config["t"])},
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    ).translate(_UNSAFE)
    return strip(source).replace(TOKEN, baked)
