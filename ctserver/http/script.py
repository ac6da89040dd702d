"""The body of /ct.js: the hand-written script, made small, with one site's public settings put into it.

Pure text work, no I/O. The source keeps a few habits, told at the head of ct.js, that make `strip` safe.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, product
from typing import Any

from ctserver.domain import phone

PLACE = "__CT_CONFIG__"

# Instead of numbers, when every target has a selector: a pattern that no text fits.
NOTHING: dict[str, list[object]] = {"$^": []}

# What JSON allows in a string but a script must not carry raw: line ends of old JavaScript, and "<" for inline use.
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<\u2028\u2029"}
_OUTER = re.compile(r"  (?:let|const) |\(")
# A declaration of one line, or one that ends at its own depth, and another one after it.
_LETS = re.compile(r"^( *)(let (?:.*|.*[^;\n](?:\n\1[] )}].*)*));\n\1let ", re.MULTILINE)
_NAME = re.compile(r"\$[A-Za-z]\w*")
# Names made of the letters that JavaScript uses most compress best; this very order was found by trying.
_LETTERS = "teardnlscogihpkPubfvxQAMCNFDzSmEwIqjKLRBOyJGHTUVWXYZ"
_KEYWORDS = {"do", "if", "in", "of", "as", "is", "ct"}


def strip(source: str) -> str:
    """Drop whole-line ``//`` comments, indentation and blanks around punctuation; shorten the names that begin with $.

    Nothing here parses JavaScript. It is safe because ct.js holds no blank inside a string or regular expression, lets
    nothing span lines but code, indents its outermost statements by two blanks, and begins only its own names with $.
    """
    lines = [line for line in source.splitlines() if line.strip() and not line.strip().startswith("//")]
    code = "\n".join(_shorten(lines)).replace("const ", "let ")
    while code != (code := re.sub(_LETS, r"\1\2,\n\1  ", code)):
        pass
    code = "\n".join(line.strip() for line in code.splitlines())
    code = re.sub(r" *([-=+*?:{}()\[\]<>&|,;!]) *", r"\1", code)
    code = re.sub(r"(?<=[^\w'])\n|\n(?=\W)", "", code)
    return code.replace(";}", "}") + "\n"


def _shorten(lines: list[str]) -> list[str]:
    """Names that begin with $ -> one or two letters. Names that never meet in an outermost statement may share one."""
    statements: list[str] = []
    for line in lines:
        if re.match(r" {0,2}[^ })\]]", line) or not statements:
            statements.append(line)
        else:
            statements[-1] += "\n" + line
    # What every statement sees: all names of a line `let $a = 1, $b;`, those before " =" of a `const`, the argument.
    heads = [line if line.startswith("  let ") else line.split(" =")[0] for line in statements if _OUTER.match(line)]
    outer = _names("\n".join(heads))
    # First the names of each statement's own: the same few letters again and again.
    inner = [
        dict(zip([name for name in _names(statement) if name not in outer], _short_names(), strict=False))
        for statement in statements
    ]
    shared: dict[str, str] = {}
    for name in (name for name in _names("\n".join(statements)) if name in outer):
        meets = [own.values() for statement, own in zip(statements, inner, strict=True) if name in _names(statement)]
        taken = {*shared.values()}.union(*meets)
        shared[name] = next(letters for letters in _short_names() if letters not in taken)
    return [_renamed(statement, {**shared, **own}) for statement, own in zip(statements, inner, strict=True)]


def _renamed(code: str, short: Mapping[str, str]) -> str:
    return re.sub(_NAME, lambda match: short[match[0]], code)


def _names(code: str) -> list[str]:
    """The names that begin with $, the most frequent first."""
    return [name for name, _ in Counter(re.findall(_NAME, code)).most_common()]


def _short_names() -> Iterator[str]:
    for length in count(1):
        yield from (name for name in map("".join, product(_LETTERS, repeat=length)) if name not in _KEYWORDS)


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
        "consent": config["consent"] != "none",
        "ga4": config["ga4"],
        "keep": config["dnt"] or config["consent"] != "none",
        "many": len(targets) > 1,
        "modes": modes != {"now"},
        "unlike": _unlike(config),
        "short": any(len(national) < 5 for national in _tracked(config)),
    }
    return {name for name, needed in wanted.items() if needed}


def fit(source: str, wanted: set[str]) -> str:
    """Leave out each line that follows a ``//? name`` line of a feature not wanted."""
    kept, skipping = [], False
    for line in source.splitlines():
        if not skipping:
            kept.append(line)
        mark = line.strip().removeprefix("//? ")
        skipping = mark != line.strip() and (mark.removeprefix("!") in wanted) == mark.startswith("!")
    return "\n".join(kept)


def _prefix_pattern(config: Mapping[str, Any]) -> str:
    """Country code with +, 00 or bare, then national prefix, then open for the number; ~ stands for a gap."""
    targets = config["t"]
    codes = _any_of({target["c"] for target in targets} | {str(code) for code, _ in _tracked(config).values()})
    prefixes = _any_of({target["p"] for target in targets if target["p"]})
    return rf"((?:\+~|00~)?{codes}~)?" + (f"({prefixes}~)?(" if prefixes else "()(")


def _any_of(digits: set[str]) -> str:
    choices = "|".join(sorted("~".join(each) for each in digits))
    return f"(?:{choices})" if len(digits) > 1 else choices


def _tracked(config: Mapping[str, Any]) -> dict[str, list[object]]:
    """National digits of every number the pages may show -> country code and the index of the target it stands for."""
    targets = config["t"]
    anywhere = [index for index, target in enumerate(targets) if "q" not in target]
    shown = [(number, at) for at in anywhere for number in [targets[at]["n"], *targets[at].get("a", [])]]
    shown += [(number, at) for at in anywhere[:1] for number in config["a"]]
    known: dict[str, list[object]] = {}
    for number, at in shown:
        code, _, national = phone.parts(number)
        known.setdefault(national, [code, at])
    return dict(sorted(known.items(), key=lambda item: len(item[0])))


def _loose_patterns(targets: list[Mapping[str, Any]]) -> list[str]:
    """What a selector's elements may hold: a number as long as those of the targets, or else any that has six digits."""
    lengths = sorted({len(target["l"]) for target in targets}, reverse=True)
    return ["|".join(rf"\d(?:~\d){{{length - 1}}}" for length in lengths), r"\d(?:~\d){5,}"]


def _unlike(config: Mapping[str, Any]) -> bool:
    """Do the site's numbers differ in country, prefix or length? Then one may have to be written in its own way."""
    kinds = {(len(national), code) for national, (code, _) in _tracked(config).items()}
    return len(kinds) > 1 or len({target["p"] for target in config["t"]}) > 1


def build(config: Mapping[str, Any], source: str) -> str:
    """Source of ct.js -> the served body: stripped, with the config in place of the one ``__CT_CONFIG__`` token."""
    if source.count(PLACE) != 1:
        raise ValueError(f"ct.js must hold {PLACE} exactly once")
    wanted = features(config)
    targets = [{k: v for k, v in target.items() if k != "a" and (k, v) != ("mode", "now")} for target in config["t"]]
    if wanted & {"unlike", "select"}:
        for target in targets:
            target["f"] = [target["n"], target["p"] + target["l"]]
    baked = {
        "CONFIG": {"s": config["s"], "a": _tracked(config) or NOTHING, "t": targets},
        "DAYS": config["days"],
        "ORIGIN": config["o"] + "/v1/",
        "PREFIX": _prefix_pattern(config),
        "SELECT": ",".join(target["q"] for target in config["t"] if "q" in target),
        "LOOSE": _loose_patterns(config["t"]),
        "COOKIE": f";path=/;domain={config['sub']};max-age=",
        "CONSENT": config["consent"],
        "GTAG": config["ga4"],
    }
    code = strip(fit(source, wanted))
    return re.sub(r"__CT_([A-Z]+)__", lambda match: _literal(baked[match[1]]), code)


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_UNSAFE)


_IDS = {
    # GA1.1.<random>.<first visit>; the number of leading parts differs with the cookie's age and path depth. What goes before
    # ends with no digit, so that a long row of digits is tried once and not from each of its digits again.
    "ga": re.compile(r"^_ga=(?:.*[^\d\n])?(\d+\.\d+)$"),
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
