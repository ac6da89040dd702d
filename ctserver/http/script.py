"""The body of /ct.js: the hand-written script, made small, with one site's public settings put into it.

Pure text work, no I/O. The source keeps a few habits, told at the head of ct.js, that make `strip` safe.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, product
from string import ascii_letters
from typing import Any

PLACE = "__CT_CONFIG__"

# What JSON allows in a string but a script must not carry raw: line ends of old JavaScript, and "<" for inline use.
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<\u2028\u2029"}
_NAME = re.compile(r"\$[A-Za-z]\w*")
_KEYWORDS = {"do", "if", "in", "of", "as", "is", "ct"}


def strip(source: str) -> str:
    """Drop whole-line ``//`` comments, indentation and blanks around punctuation; shorten the names that begin with $.

    Nothing here parses JavaScript. It is safe because ct.js holds no blank inside a string or regular expression, lets
    nothing span lines but code, indents its outermost statements by two blanks, and begins only its own names with $.
    """
    lines = [line for line in source.splitlines() if line.strip() and not line.strip().startswith("//")]
    code = "\n".join(line.strip() for text in _joined(_shorten(lines)) for line in text.splitlines())
    code = re.sub(r" *([-=+*?:{}()\[\]<>&|,;!]) *", r"\1", code)
    return re.sub(r"(?<=[{,;(\[])\n|\n(?=[})\]&?:|])", "", code) + "\n"


def _shorten(lines: list[str]) -> list[str]:
    """Names that begin with $ -> one or two letters. A name used in one outermost statement only may reuse a letter."""
    statements: list[str] = []
    for line in lines:
        if re.match(r" {0,2}[^ })\]]", line) or not statements:
            statements.append(line)
        else:
            statements[-1] += "\n" + line
    used = [Counter(re.findall(_NAME, statement)) for statement in statements]
    spread = Counter(name for names in used for name in names)
    total = sum(used, Counter[str]())
    short = dict(zip((name for name, _ in total.most_common() if spread[name] > 1), _short_names(), strict=False))
    return [_rename(statement, names, short) for statement, names in zip(statements, used, strict=True)]


def _joined(statements: list[str]) -> Iterator[str]:
    """Outermost declarations that follow one another -> one declaration."""
    before = ""
    for statement in (statement.strip().replace("const ", "let ") for statement in statements):
        if before.startswith("let ") and before.endswith(";") and statement.startswith("let "):
            before = before[:-1] + ",\n" + statement[4:]
        else:
            yield before
            before = statement
    yield before


def _rename(statement: str, names: Counter[str], short: Mapping[str, str]) -> str:
    outer = {name: short[name] for name in names if name in short}
    free = (letter for letter in _short_names() if letter not in outer.values())
    inner = dict(zip((name for name, _ in names.most_common() if name not in short), free, strict=False))
    return re.sub(_NAME, lambda match: (outer | inner)[match[0]], statement)


def _short_names() -> Iterator[str]:
    for length in count(1):
        yield from (name for name in map("".join, product(ascii_letters, repeat=length)) if name not in _KEYWORDS)


def features(config: Mapping[str, Any]) -> set[str]:
    """What this site needs beyond the plain script; a line after ``//? name`` is served only to sites that need it."""
    targets = config["t"]
    modes = {target.get("mode", "now") for target in targets}
    wanted = {
        "sub": config["sub"],
        "dnt": config["dnt"],
        "reveal": "reveal" in modes,
        "lazy": "lazy" in modes,
        "mask": any("m" in target for target in targets),
        "select": any("q" in target for target in targets),
    }
    return {name for name, needed in wanted.items() if needed}


def fit(source: str, wanted: set[str]) -> str:
    """Leave out each line that follows a ``//? name`` line of a feature not wanted."""
    kept, skipping = [], False
    for line in source.splitlines():
        if not skipping:
            kept.append(line)
        mark = line.strip().removeprefix("//? ")
        skipping = mark != line.strip() and mark not in wanted
    return "\n".join(kept)


def _prefix_pattern(targets: list[Mapping[str, Any]]) -> str:
    """Country code with +, 00 or bare and perhaps (0), or national prefix; the script puts its gap in place of ~."""
    codes = "|".join(sorted({"~".join(target["c"]) for target in targets}))
    prefixes = "|".join(sorted({"~".join(target["p"]) for target in targets if target["p"]}))
    if not prefixes:
        return f"(?:((?:\\+|00)?~(?:{codes})~)|(-~))?"
    return f"(?:((?:(?:\\+|00)~)?(?:{codes})~(?:(?:{prefixes})~)?)|((?:{prefixes})~))?"


def _tracked(config: Mapping[str, Any]) -> dict[str, list[object]]:
    """National digits of every number the pages may show -> country code and the index of the target it stands for."""
    targets = config["t"]
    anywhere = [index for index, target in enumerate(targets) if "q" not in target]
    known: dict[str, list[object]] = {}
    for index in anywhere:
        for number in [targets[index]["n"], *targets[index].get("a", [])]:
            known.setdefault(number[1 + len(targets[index]["c"]) :], [targets[index]["c"], index])
    for number in config["a"] if anywhere else []:
        code = next((target["c"] for target in targets if number.startswith("+" + target["c"])), "")
        known.setdefault(number[1 + len(code) :], [code, anywhere[0]])
    return dict(sorted(known.items(), key=lambda item: len(item[0])))


def build(config: Mapping[str, Any], source: str) -> str:
    """Source of ct.js -> the served body: stripped, with the config in place of the one ``__CT_CONFIG__`` token."""
    if source.count(PLACE) != 1:
        raise ValueError(f"ct.js must hold {PLACE} exactly once")
    targets = [
        {"mode": "now", "f": [target["n"], target["p"] + target["l"]]} | {k: v for k, v in target.items() if k != "a"}
        for target in config["t"]
    ]
    baked = json.dumps(
        {
            **config,
            "t": targets,
            "a": _tracked(config),
            "x": _prefix_pattern(config["t"]),
            "q": ",".join(target["q"] for target in config["t"] if "q" in target),
        },
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    ).translate(_UNSAFE)
    return strip(fit(source, features(config))).replace(PLACE, baked)


_IDS = {
    # GA1.1.<random>.<first visit>; the number of leading parts differs with the cookie's age and path depth
    "ga": re.compile(r"^_ga=.*?(\d+\.\d+)$"),
    # GS1.1.<session>.<count>... and, since 2025, GS2.1.s<session>$o<count>...
    "gs": re.compile(r"^_ga_\w+=GS\d\.\d\.s?(\d+)"),
    "ym": re.compile(r"^_ym_uid=(\d+)"),
    "fbp": re.compile(r"^_fbp=(.+)"),
    "fbc": re.compile(r"^_fbc=(.+)"),
}


def client_ids(cookies: Iterable[str] | None) -> dict[str, str]:
    """The `i` of a request, analytics cookies as "name=value" -> ids by name: ga, gs, ym, fbp, fbc. The first one wins.

    The script sends the cookies as they are, so that a new format needs a change here and not in a cached script.
    """
    found: dict[str, str] = {}
    for cookie in cookies or ():
        for name, pattern in _IDS.items():
            if match := pattern.match(cookie):
                found.setdefault(name, match[1])
    return found
