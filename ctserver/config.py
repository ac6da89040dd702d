"""ctserver.toml and the environment -> frozen settings. Owns their shape; reports every mistake at once.

Secrets are never written in ctserver.toml: they come from a file that it names, or from the environment.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from ctserver.domain import phone
from ctserver.domain.model import Source


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


_ADDRESS = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Za-z:.%]+\]):([0-9]{1,5})")


def _number(value: str, info: ValidationInfo) -> str:
    country = (info.context or {})["country"]
    return phone.e164(value, country)


def _address(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if not found or int(found[1]) > 65535:
        raise ValueError(f"{value!r} is not an address and a port")
    return value


def _country(value: str) -> str:
    if value.upper() not in phone.COUNTRIES:
        raise ValueError(f"{value!r} is not a country code of two letters")
    return value.upper()


def _one_line(value: str) -> str:
    if any(ord(character) < 32 for character in value) or '"' in value:
        raise ValueError("control characters and double quotes are not allowed here")
    if "${" in value or "$[" in value:
        raise ValueError("${ and $[ would be evaluated by the dialplan, which is not allowed here")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"{value!r} is no IP address or network") from None


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


PhoneNumber = Annotated[str, AfterValidator(_number)]
Address = Annotated[str, AfterValidator(_address)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Reference = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?$")]  # empty: none
MAIN = "main"  # the target that is the site's own number
OneLine = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
Domain = Annotated[str, BeforeValidator(_lower)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Server(_Table):
    listen: Address = "127.0.0.1:8080"
    public_url: str = Field(default="http://127.0.0.1:8080", pattern=r"^https?://[^/\s]+$")
    country: Annotated[str, AfterValidator(_country)] = "GB"
    demo: bool = False
    trust_proxy: bool = False


class DatabaseFile(_Table):
    path: str = "var/ctserver.db"


class Fastagi(_Table):
    listen: Address = "127.0.0.1:4573"


class Log(_Table):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Asterisk(_Table):
    id: Identifier = "pbx"
    ami: Address = "127.0.0.1:5038"
    ami_user: OneLine = "ctserver"
    ami_secret_file: str = ""
    inbound_contexts: list[OneLine] = ["ct-inbound"]


class Recordings(_Table):
    folder: OneLine = "var/recordings"
    min_free_mb: int = Field(default=500, ge=0)


class Calls(_Table):
    default_line: Reference = ""


class Line(_Table):
    name: str = ""
    dial: OneLine = Field(min_length=1)
    ring_seconds: int = Field(default=30, ge=1, le=600)
    record: bool = True


class Target(_Table):
    """A number written in the site's pages: how to find it, how to show another in its place, and from which pool."""

    number: PhoneNumber
    selector: OneLine = ""
    mask: OneLine = ""
    mode: Literal["now", "reveal", "lazy"] = "now"
    reveal_text: OneLine = "Show number"
    pool: Reference = ""
    line: Reference = ""


class Site(_Table):
    name: str = ""
    domains: list[Domain] = Field(min_length=1)
    number: PhoneNumber
    selector: OneLine = ""
    mask: OneLine = ""
    mode: Literal["now", "reveal", "lazy"] = "now"
    reveal_text: OneLine = "Show number"
    pool: Reference = ""
    line: Reference = ""
    targets: dict[Identifier, Target] = {}
    static_only: bool = False
    session_minutes: int = Field(default=30, ge=1, le=1440)
    heartbeat_seconds: int = Field(default=30, ge=5, le=600)
    consent: Literal["none", "cookieless", "wait"] = "none"
    respect_dnt: bool = False
    visitor_days: int = Field(default=90, ge=1, le=730)
    cookie_domain: Domain = ""
    serve_bots: bool = False
    repeat_calls: bool = True
    repeat_days: int = Field(default=30, ge=1, le=365)
    exclude_ips: list[Annotated[str, AfterValidator(_network)]] = []

    @cached_property
    def all_targets(self) -> dict[str, Target]:
        """The site's own number as target `main`, and the others."""
        main = Target.model_construct(
            number=self.number,
            selector=self.selector,
            mask=self.mask,
            mode=self.mode,
            reveal_text=self.reveal_text,
            pool=self.pool,
            line=self.line,
        )
        return {MAIN: main, **self.targets}


class Pool(_Table):
    numbers: list[PhoneNumber] = Field(min_length=1)
    hold_minutes: int = Field(default=30, ge=1, le=10080)
    release_minutes: int = Field(default=3, ge=0, le=10080)
    cool_down_minutes: int = Field(default=0, ge=0, le=1440)
    share: bool = True
    overflow: Reference = ""
    line: Reference = ""


Patterns = Annotated[list[OneLine], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Rule(_Table):
    """Conditions of domain.rules; exactly one of `pool`, `static`, `page` says what to show."""

    site: Reference = ""
    target: Reference = ""
    channel: Patterns = []
    medium: Patterns = []
    source: Patterns = []
    campaign: Patterns = []
    landing: Patterns = []
    referrer: Patterns = []
    region: Patterns = []
    device: Patterns = []
    pool: Reference = ""
    static: Reference = ""
    page: bool = False


class Limits(_Table):
    new_visitors_per_minute: int = Field(default=60, ge=0)
    visits_per_site_per_minute: int = Field(default=30_000, ge=0)


class Privacy(_Table):
    ip: Literal["truncate", "drop", "keep"] = "truncate"


class Geo(_Table):
    file: str = ""


class Static(_Table):
    number: PhoneNumber
    site: Identifier
    source: str
    medium: str = "offline"
    campaign: str = ""
    line: Reference = ""


class Settings(_Table):
    """Everything in ctserver.toml. Relative paths are relative to the folder of the file (`path`)."""

    base: Path = Field(default=Path(), exclude=True)
    server: Server = Server()
    database: DatabaseFile = DatabaseFile()
    fastagi: Fastagi = Fastagi()
    log: Log = Log()
    asterisk: list[Asterisk] = [Asterisk()]
    recordings: Recordings = Recordings()
    calls: Calls = Calls()
    lines: dict[Identifier, Line] = Field(min_length=1)
    sites: dict[Identifier, Site] = {}
    pools: dict[Identifier, Pool] = {}
    static: dict[Identifier, Static] = {}
    rules: list[Rule] = []
    limits: Limits = Limits()
    privacy: Privacy = Privacy()
    geo: Geo = Geo()

    def path(self, text: str) -> Path:
        return (self.base / text).resolve()

    @property
    def default_line(self) -> str:
        """The line of whatever names no line of its own."""
        return self.calls.default_line or next(iter(self.lines))

    def secret(self, pbx: Asterisk) -> str:
        """The AMI secret, from the environment or its file. Raises ConfigError."""
        variable = f"CTSERVER_AMI_SECRET_{pbx.id.upper().replace('-', '_')}"
        for name in (variable, "CTSERVER_AMI_SECRET"):
            if value := os.environ.get(name):
                return value
        key = f"asterisk.{pbx.id}.ami_secret_file"
        if not pbx.ami_secret_file:
            raise ConfigError(self.base, [Problem(key, "no AMI secret", f"name a file here or set {variable}")])
        file = self.path(pbx.ami_secret_file)
        hint = f"write the secret of manager.conf into {file} (mode 0600) or set {variable}"
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(self.base, [Problem(key, f"cannot be read: {_reason(error)}", hint)]) from error
        if not secret or any(ord(character) < 32 for character in secret):
            raise ConfigError(self.base, [Problem(key, f"{file} must hold one line of text", hint)])
        return secret


def load(file: Path, overrides: Mapping[str, str] | None = None) -> Settings:
    """Read and check `file`; `overrides` are dotted keys and values (`server.listen`: `127.0.0.1:9000`).

    Raises ConfigError with every mistake.
    """
    data = _read(file)
    for key, value in (overrides or {}).items():
        _override(file, data, key, value)
    named = _dict(data.get("server")).get("country", "GB")
    country = named.upper() if isinstance(named, str) else "GB"
    problems = list(_cross_checks(data, country))
    try:
        settings = Settings.model_validate(data, context={"country": country})
    except ValidationError as error:
        problems = [_explain(entry) for entry in error.errors(include_url=False)] + problems
    if problems:
        raise ConfigError(file, problems)
    return settings.model_copy(update={"base": file.resolve().parent})


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ConfigError(file, [Problem("TOML", "cannot be read: nested too deep", "remove the brackets")]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, [Problem("TOML", f"cannot be read: {error}", "correct the line named here")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(file, [Problem("TOML", "is not UTF-8 text", "save the file as UTF-8")]) from error
    except OSError as error:
        hint = "name another file with --config, or copy the ctserver.toml that comes with ctserver"
        raise ConfigError(file, [Problem("file", f"cannot be read: {_reason(error)}", hint)]) from error


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _override(file: Path, data: dict[str, Any], dotted: str, text: str) -> None:
    *path, last = dotted.split(".")
    table: Any = data
    for step in path:
        if isinstance(table, list):
            table = next((entry for entry in table if _dict(entry).get("id", "pbx") == step), None)
        elif isinstance(table, dict):
            table = table.setdefault(step, [{}] if step == "asterisk" else {})
    if not isinstance(table, dict):
        raise ConfigError(file, [Problem(dotted, "there is no such key to set", "see the keys in ctserver.toml")])
    if text.startswith("+"):  # a phone number, which TOML would take for a number
        table[last] = text
        return
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text


# ---- mistakes in words

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def _explain(error: Any) -> Problem:
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


# ---- what one table says about another


def _cross_checks(data: Mapping[str, Any], country: str) -> Iterator[Problem]:
    yield from _references(data)
    yield from _number_uses(data, country)
    names = Counter(str(table.get("id", "pbx")) for table in _list(data.get("asterisk")) if isinstance(table, dict))
    for name, count in names.items():
        if count > 1:
            yield Problem("asterisk", f"the id {name!r} is used {count} times", "give each [[asterisk]] its own id")
    if "base" in data:
        yield Problem("base", "unknown key", "remove it")


def _references(data: Mapping[str, Any]) -> Iterator[Problem]:
    for kind, key, target in (
        ("sites", "pool", "pools"),
        ("sites", "line", "lines"),
        ("pools", "line", "lines"),
        ("pools", "overflow", "static"),
        ("static", "site", "sites"),
        ("static", "line", "lines"),
    ):
        for name, table in _dict(data.get(kind)).items():
            yield from _reference(f"{kind}.{name}.{key}", _dict(table).get(key), target, data)
    for site, table in _dict(data.get("sites")).items():
        for name, target in _dict(_dict(table).get("targets")).items():
            for key, kind in (("pool", "pools"), ("line", "lines")):
                yield from _reference(f"sites.{site}.targets.{name}.{key}", _dict(target).get(key), kind, data)
    for index, rule in enumerate(_list(data.get("rules"))):
        for key, kind in (("site", "sites"), ("pool", "pools"), ("static", "static")):
            yield from _reference(f"rules.{index}.{key}", _dict(rule).get(key), kind, data)
        if sum(bool(_dict(rule).get(key)) for key in ("pool", "static", "page")) != 1:
            hint = "say what to show: pool = ..., static = ... or page = true"
            yield Problem(f"rules.{index}", "names no number to show, or several", hint)
    yield from _reference("calls.default_line", _dict(data.get("calls")).get("default_line"), "lines", data)


def _reference(key: str, wanted: object, target: str, data: Mapping[str, Any]) -> Iterator[Problem]:
    known = list(_dict(data.get(target)))
    if isinstance(wanted, str) and wanted and wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"add [{target}.{wanted}] or name one of: {', '.join(known)}"
        yield Problem(key, f"there is no [{target}.{wanted}]", hint)


def _number_uses(data: Mapping[str, Any], country: str) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for key, text in _numbers(data):
        try:
            number = phone.e164(text, country)
        except phone.NotANumber:
            continue  # told by the shape check
        if number in first:
            yield Problem(key, f"{number} is also in {first[number]}", "a number can have one place only: remove one")
        first.setdefault(number, key)


def _numbers(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, pool in _dict(data.get("pools")).items():
        for text in _list(_dict(pool).get("numbers")):
            if isinstance(text, str):
                yield f"pools.{name}.numbers", text
    for name, static in _dict(data.get("static")).items():
        if isinstance(text := _dict(static).get("number"), str):
            yield f"static.{name}.number", text


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


# ---- the directory of numbers


@dataclass(frozen=True, slots=True)
class NumberUse:
    """What a tracked number is for."""

    number: str
    site: str
    line: str
    pool: str = ""
    source: Source | None = None


def number_uses(settings: Settings) -> dict[str, NumberUse]:
    """Every tracked number: those of the pools, and the static ones with their sources."""
    uses: dict[str, NumberUse] = {}
    for pool_id, site_id, line in _pool_owners(settings):
        pool = settings.pools[pool_id]
        for number in pool.numbers:
            uses.setdefault(number, NumberUse(number, site_id, pool.line or line, pool=pool_id))
    for static in settings.static.values():
        line = static.line or settings.sites[static.site].line or settings.default_line
        source = Source(static.medium, static.source, static.campaign)
        uses[static.number] = NumberUse(static.number, static.site, line, source=source)
    return uses


def _pool_owners(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """(pool, site, line) for every pool that a target or a rule uses, and then for those that nothing uses yet."""
    for site_id, site in settings.sites.items():
        for target in site.all_targets.values():
            if target.pool:
                yield target.pool, site_id, target.line or site.line or settings.default_line
    first = next(iter(settings.sites), "")
    for rule in settings.rules:
        if rule.pool:
            site_id = rule.site or first
            yield rule.pool, site_id, (settings.sites[site_id].line if site_id else "") or settings.default_line
    for pool_id in settings.pools:
        yield pool_id, "", settings.default_line
